"""Softmax and hinge: two losses for one linear classifier.

Softmax cross-entropy asks for the whole probability of the right class, the hinge loss of the
support vector machine for a margin of 1 over every other class and then for no more (Weston & Watkins 1999). On the
handwritten digits they are as good as each other. On three heaps of points that overlap, the softmax is unsure
where the classes meet and sure elsewhere; the hinge has scores, but no probabilities. Both have a penalty
lambda sum(W^2). And the losses of a course's slide: scores (3.2, 5.1, -1.7), (1.3, 4.9, 2.0), (2.2, 2.5, -3.1), of
which number 0, 1 and 2 should be the largest.

  scripts/run experiments.foundations.softmax_and_hinge --workdir runs/softmax_and_hinge
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.losses import l2_penalty, multiclass_hinge, softmax_cross_entropy
from jaxvision.tasks.classification import class_probabilities, classification_task
from jaxvision.tasks.together import together
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.masks import not_bias_or_norm
from jaxvision.training.ranges import NonNegativeFloat, PositiveFloat, PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.schedules import cosine, scheduled
from jaxvision.training.study import begin, study_result, train_part

LOSSES = {"softmax": softmax_cross_entropy, "hinge": multiclass_hinge}
SCORES = np.array([(3.2, 5.1, -1.7), (1.3, 4.9, 2.0), (2.2, 2.5, -3.1)], np.float32)
EXTENT = (-1.9, 1.9, -1.9, 1.9)
PIXELS = (120, 120)


@dataclass(frozen=True)
class Config(TrainConfig):
    """Linear classifiers of digits and of points in a plane, by two losses."""

    epochs: float = 0.0
    steps: int = 1500
    batch_size: int = 64
    learning_rate: float = 1e-2
    population: int = 5
    steps_per_dispatch: int = 256
    eval_every: str = "500 steps"
    log_every: str = "250 steps"
    checkpoint_every: str = "1500 steps"
    l2: NonNegativeFloat = 1e-3
    """Weight of the sum of squares of the weights in the loss."""
    noise: NonNegativeFloat = 0.35
    """Standard deviation of the heaps, whose centres are 1.04 apart."""
    points: PositiveInt = 600
    """Points in training, and as many in validation."""
    band: PositiveFloat = 0.1
    """How near to where two classes meet a point counts as near."""


def build(config, splits):
    channels = splits.info.image_shape[-1]
    optimiser = scheduled(
        optax.adam, cosine(config.total_steps(len(splits.train))), learning_rate=config.learning_rate
    )
    hyper = {"learning_rate": config.learning_rate, "l2": config.l2}
    tasks = {
        name: classification_task(
            "multiperceptron",
            {"act": "identity"},
            preprocess=augment.Preprocess(splits.info.image_shape, (0.0,) * channels, (1.0,) * channels),
            class_names=splits.info.class_names,
            tx=optimiser,
            hyper=hyper,
            loss=loss,
            penalties={"l2": lambda params: l2_penalty(params, mask=not_bias_or_norm(params))},
        )
        for name, loss in LOSSES.items()
    }
    return tasks, together(tasks, optimiser, hyper)


def distance_to_boundary(points, centres):
    """How far [N] points [N, 2] are from where the nearest of the centres [K, 2] changes."""
    squared = np.square(points[:, None] - centres[None]).sum(2)
    first, second = np.argsort(squared, axis=1)[:, :2].T
    rows = np.arange(len(points))
    apart = np.linalg.norm(centres[first] - centres[second], axis=1)
    return (squared[rows, second] - squared[rows, first]) / (2 * apart)


def of_the_slide():
    """The losses [2, 3] of the slide's three scores."""
    return np.array([loss(jnp.asarray(SCORES), jnp.arange(3)) for loss in LOSSES.values()])


def losses_by_margin():
    """Each loss of two classes, and whether the answer is wrong, by the right score less the other."""
    margin = np.linspace(-3, 3, 241, dtype=np.float32)
    scores, right = jnp.stack([margin, 0 * margin], axis=1), jnp.zeros(len(margin), jnp.int32)
    curves = {name: (margin, np.asarray(loss(scores, right))) for name, loss in LOSSES.items()}
    return {**curves, "wrong answer": (margin, (margin < 0).astype(float))}


def surfaces_of(tasks, part, heaps):
    """How each loss colours the plane; the hinge, which has no probabilities, by the class of its largest score."""
    plane, validation = plots.grid_points(EXTENT, PIXELS)[:, None, None], heaps.validation.resident()
    surfaces = {}
    for loss, task in tasks.items():
        probabilities = np.asarray(class_probabilities(task)(variables_of(part, loss), plane))
        if loss == "hinge":
            probabilities = np.eye(3)[probabilities.argmax(1)]
        surfaces[loss] = plots.Surface(
            probabilities.reshape(*PIXELS, 3),
            EXTENT,
            validation["image"][:, 0, 0],
            validation["label"],
            part.validation[0][f"top1_{loss}"],
        )
    return surfaces


def certainty_of(task, part, heaps, band):
    """Mean of the softmax's largest probability at validation points: near where classes meet, and away."""
    training, validation = heaps.train.resident(), heaps.validation.resident()
    surest = np.asarray(class_probabilities(task)(variables_of(part, "softmax"), validation["image"])).max(1)
    centres = np.stack([training["image"][training["label"] == k, 0, 0].mean(0) for k in range(3)])
    near = distance_to_boundary(validation["image"][:, 0, 0], centres) < band
    return {"near": round(float(surest[near].mean()), 4), "away": round(float(surest[~near].mean()), 4)}


def run(config, env):
    digits = data.load("digits", env.data_dir, fake=env.smoke)
    sizes = {"train": config.points, "validation": config.points, "test": 1}
    heaps = data.toy_splits("three_blobs", seed=config.seed, sizes=sizes, noise=config.noise)
    begin(env)
    (_, on_digits), (planar, on_heaps) = build(config, digits), build(config, heaps)
    parts = {
        "digits": train_part(on_digits, digits, config, env, "digits"),
        "heaps": train_part(on_heaps, heaps, config, env, "heaps"),
    }
    top1 = {
        name: {loss: round(float(np.mean([row[f"top1_{loss}"] for row in part.validation])), 4) for loss in LOSSES}
        for name, part in parts.items()
    }

    surfaces = surfaces_of(planar, parts["heaps"], heaps)
    certainty = certainty_of(planar["softmax"], parts["heaps"], heaps, config.band)
    slide = of_the_slide()
    claim = as_good_but_unsure_where_classes_meet(top1["digits"], certainty, slide)
    figures = draw(parts["digits"], digits.info, surfaces, slide)
    result = study_result(env, list(parts.values()), validation_top1=top1)
    conclude(result, config, env, figures, __doc__, claim=claim)


def as_good_but_unsure_where_classes_meet(top1, certainty, slide):
    """The claim, from accuracies on digits by loss, the softmax's certainty, and the losses of the slide."""
    return Claim(
        "Softmax and hinge are as good as each other on digits; the softmax is unsure where classes meet",
        {
            "digits": top1,
            "certainty": certainty,
            "slide": {loss: row.round(2).tolist() for loss, row in zip(LOSSES, slide.astype(float))},
        },
        "top1 within 0.02; mean largest probability near the boundaries 0.2 or more below that away; hinge of the "
        "slide 2.9, 0, 12.9, cross-entropy of its first image 2.04",
        bool(
            abs(top1["softmax"] - top1["hinge"]) <= 0.02
            and certainty["near"] <= certainty["away"] - 0.2
            and np.allclose(slide[1], (2.9, 0, 12.9), atol=1e-3)
            and abs(slide[0, 0] - 2.04) < 5e-3
        ),
    )


def draw(part, info, surfaces, slide):
    """Figures of the plane, of the weights of the part that learned the digits, and of the losses."""
    weights = {
        loss: variables_of(part, loss)["params"]["head"]["kernel"].T.reshape(-1, *info.image_shape)
        for loss in LOSSES
    }
    return {
        "surfaces": (
            "Three heaps of validation points. Left: probabilities, pale where unsure. Right: the class of the "
            "largest score; the hinge has no probabilities",
            plots.decision_surfaces({"three heaps": surfaces}),
        ),
        "weights": (
            "The weights of each digit: red where ink speaks for it, blue where against; one scale a row",
            plots.image_rows(weights, info.class_names, diverging=True, scale="row"),
        ),
        "margin": (
            "Loss of an example of two classes. The hinge is content with a margin of 1, the softmax never",
            plots.lines(
                losses_by_margin(), x_label="score of the right class less that of the other", y_label="loss"
            ),
        ),
        "slide": (
            "Scores of three images, the losses by hinge and by softmax cross-entropy (in nats)",
            plots.table_heatmap(
                np.column_stack([slide[1], slide[0]]),
                [f"{', '.join(f'{score:.1f}' for score in scores)}; right: {k}" for k, scores in enumerate(SCORES)],
                ["hinge", "softmax"],
                format="{:.2f}",
                label="loss",
            ),
        ),
    }


def variables_of(part, loss):
    """Of the first seed."""
    return {"params": part.variables()["params"][loss]}


if __name__ == "__main__":
    launch(run, Config)
