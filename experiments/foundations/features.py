"""Features, engineered and learned: what makes classes linearly separable that are not.

On four sets of points that no line separates, a linear classifier fails on x and y and succeeds on
features chosen for the set: a product, a radius, the angle along a spiral. A multilayer perceptron is given x and y
and finds such features by itself (Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating
errors"). Its last hidden layer has two units, so that the plane in which its head separates the classes can be
drawn. All sets, features and seeds are members of one population.

  scripts/run experiments.foundations.features --workdir runs/features
"""

from dataclasses import dataclass, replace

import jax
import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.data.splits import side_by_side
from jaxvision.launch import launch
from jaxvision.tasks.classification import class_probabilities, classification_task, restore_model
from jaxvision.tasks.together import together
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.population import members_of
from jaxvision.training.ranges import PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.schedules import cosine, scheduled
from jaxvision.training.study import begin, study_result, train_part

SETS = ("xor", "circles", "spirals", "three_classes")
KINDS = ("raw", "engineered")
COLUMNS = {
    "linear on x and y": ("linear", "raw"),
    "linear on features": ("linear", "engineered"),
    "MLP on x and y": ("mlp", "raw"),
}
CHANNELS = 3  # of the widest features; narrower ones are filled up with zeros
EXTENT = (-1.25, 1.25, -1.25, 1.25)
PIXELS = (100, 100)


@dataclass(frozen=True)
class Config(TrainConfig):
    """A linear classifier and a multilayer perceptron on x and y and on engineered features."""

    epochs: float = 0.0
    steps: int = 2000
    batch_size: int = 50
    learning_rate: float = 1e-2
    population: int = 3
    steps_per_dispatch: int = 256
    log_every: str = "500 steps"
    checkpoint_every: str = "2000 steps"
    eval_batch_size: int = 400
    hidden_units: PositiveInt = 32
    """Width of each of two hidden layers; the third has two units."""
    points: PositiveInt = 400
    """Points of each set in training, and as many in validation."""


def build(config, splits):
    optimiser = scheduled(
        optax.adam, cosine(config.total_steps(len(splits.train))), learning_rate=config.learning_rate
    )
    hyper = {"learning_rate": config.learning_rate}
    networks = {"linear": [], "mlp": [config.hidden_units, config.hidden_units, 2]}
    tasks = {
        name: classification_task(
            "mlp",
            {"features": features, "act": "leaky_relu"},
            preprocess=augment.Preprocess(splits.info.image_shape, (0.0,) * CHANNELS, (1.0,) * CHANNELS),
            class_names=splits.info.class_names,
            tx=optimiser,
            hyper=hyper,
        )
        for name, features in networks.items()
    }
    return tasks, together(tasks, optimiser, hyper)


def feature_images(points, name, kind):
    """The features of points [N, 2] as images [N, 1, 1, CHANNELS]."""
    features = data.FEATURES["raw" if kind == "raw" else data.TOY_SETS[name].separating[0]](points)
    return np.pad(features, ((0, 0), (0, CHANNELS - features.shape[1])))[:, None, None, :]


def with_features(splits, kind):
    """A toy set with features for its points."""

    def mapped(dataset):
        examples = dataset.resident()
        images = feature_images(examples["image"][:, 0, 0], splits.info.name, kind)
        return data.InMemory(images, examples["label"])

    info = replace(splits.info, image_shape=(1, 1, CHANNELS))
    return replace(splits, info=info, train=mapped(splits.train), validation=mapped(splits.validation))


def surface(probabilities, extent, points, labels, accuracy):
    """Of probabilities [H * W, K], K being the most classes a set has."""
    own = np.asarray(probabilities)[:, : labels.max() + 1]
    own = (own / own.sum(1, keepdims=True)).reshape(*PIXELS, -1)
    return plots.Surface(own, extent, points, labels, accuracy)


def latent_surface(task, variables, images, labels, accuracy):
    """What the two units of the last hidden layer say about the images, on the plane of what they could say."""
    model, preprocess = restore_model(task.record)
    _, tapped = model.apply(variables, preprocess(images), mutable="intermediates")
    units = np.asarray(tapped["intermediates"][f"hidden{len(model.features)}"])
    middle, half = (units.max(0) + units.min(0)) / 2, 0.6 * np.ptp(units, axis=0).max()
    extent = (middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half)
    head = variables["params"]["head"]
    logits = plots.grid_points(extent, PIXELS) @ head["kernel"] + head["bias"][None]
    return surface(jax.nn.softmax(logits), extent, units, labels, accuracy)


def surfaces_of(tasks, sets, part, groups):
    """Of the first seed: the planes of x and y by set and column, and those of the MLP's hidden units by set."""
    surfaces, latent = {name: {} for name in SETS}, {}
    for column, (model, kind) in COLUMNS.items():
        probabilities = class_probabilities(tasks[model])
        for name, toy in sets.items():
            first = groups[name, kind].start
            variables = {"params": part.variables(first)["params"][model]}
            accuracy = part.validation[first][f"top1_{model}"]
            examples = toy.validation.resident()
            points, labels = examples["image"][:, 0, 0], examples["label"]
            plane = feature_images(plots.grid_points(EXTENT, PIXELS), name, kind)
            surfaces[name][column] = surface(probabilities(variables, plane), EXTENT, points, labels, accuracy)
            if model == "mlp":
                images = feature_images(points, name, kind)
                latent[name] = latent_surface(tasks[model], variables, images, labels, accuracy)
    return surfaces, latent


def run(config, env):
    sizes = {"train": config.points, "validation": config.points, "test": 1}
    sets = {name: data.toy_splits(name, seed=config.seed, sizes=sizes) for name in SETS}
    pairs = [(name, kind) for name in SETS for kind in KINDS]
    splits, trained_on, held_out = side_by_side([with_features(sets[name], kind) for name, kind in pairs])
    tasks, task = build(config, splits)
    each = members_of(config, task.hyper)
    members, which = each * len(pairs), np.repeat(np.arange(len(pairs)), len(each))
    order = data.PopulationOrder(
        [
            data.FoldOrder(len(splits.train), trained_on[i], config.batch_size, member.seed)
            for i, member in zip(which, members)
        ]
    )
    begin(env)
    folds = [held_out[i] for i in which]
    part = train_part(task, splits, config, env, "all", members=members, order=order, held_out=folds)

    groups = {pair: slice(i * len(each), (i + 1) * len(each)) for i, pair in enumerate(pairs)}
    top1 = {
        column: {name: mean_top1(part.validation[groups[name, kind]], model) for name in SETS}
        for column, (model, kind) in COLUMNS.items()
    }
    surfaces, latent = surfaces_of(tasks, sets, part, groups)
    claim = features_make_classes_separable(top1)
    figures = draw(surfaces, latent, top1, each)
    conclude(study_result(env, [part], validation_top1=top1), config, env, figures, __doc__, claim=claim)


def features_make_classes_separable(top1):
    """The claim, from mean accuracies by column and set."""
    raw, engineered, learned = (list(scores.values()) for scores in top1.values())
    return Claim(
        "Where a linear classifier fails on x and y, it succeeds on engineered features; a multilayer perceptron "
        "learns its own",
        top1,
        "validation accuracy on every set: linear on x and y <= 0.75, on features >= 0.97, MLP >= 0.97",
        bool(np.max(raw) <= 0.75 and np.min(engineered) >= 0.97 and np.min(learned) >= 0.97),
    )


def draw(surfaces, latent, top1, seeds):
    """Figures of the planes, and of accuracies."""
    return {
        "surfaces": (
            f"Class probabilities, validation points and accuracy on them; seed {seeds[0].seed}",
            plots.decision_surfaces(surfaces),
        ),
        "latent": (
            "The same points as the last hidden layer of the MLP sees them, and what its linear head makes of that",
            plots.decision_surfaces({"hidden units": latent}),
        ),
        "accuracy": (
            f"Validation accuracy, mean of {len(seeds)} networks",
            plots.table_heatmap(
                [[top1[column][name] for column in COLUMNS] for name in SETS],
                SETS,
                list(COLUMNS),
                format="{:.3f}",
                label="validation accuracy",
            ),
        ),
    }


def mean_top1(rows, model):
    return round(float(np.mean([row[f"top1_{model}"] for row in rows])), 4)


if __name__ == "__main__":
    launch(run, Config)
