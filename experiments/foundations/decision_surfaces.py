"""Decision surfaces: where a linear classifier fails and a hidden layer helps, on seven sets of points in a plane.

A linear softmax classifier and perceptrons of one and two hidden layers learn every set; each
colours the plane by its class probabilities, pale where it is unsure. A line can't separate XOR (Minsky & Papert
1969, "Perceptrons") nor a circle from one around it; a hidden layer can. All sets and seeds are members of one
population.

  scripts/run experiments.foundations.decision_surfaces --workdir runs/decision_surfaces
"""

from dataclasses import dataclass

import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.data.splits import side_by_side
from jaxvision.launch import launch
from jaxvision.tasks.classification import class_probabilities, classification_task
from jaxvision.tasks.together import together
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.population import members_of
from jaxvision.training.ranges import PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.schedules import cosine, scheduled
from jaxvision.training.study import begin, study_result, train_part

DEPTHS = {"linear": 0, "1 hidden layer": 1, "2 hidden layers": 2}
NOT_LINEAR = ("xor", "circles")
EXTENT = (-1.25, 1.25, -1.25, 1.25)
PIXELS = (100, 100)


@dataclass(frozen=True)
class Config(TrainConfig):
    """Linear classifiers and multilayer perceptrons on points in a plane."""

    epochs: float = 0.0
    steps: int = 1500
    batch_size: int = 50
    learning_rate: float = 1e-2
    population: int = 3
    steps_per_dispatch: int = 256
    log_every: str = "500 steps"
    checkpoint_every: str = "1500 steps"
    eval_batch_size: int = 400
    hidden_units: PositiveInt = 32
    """Width of each hidden layer."""
    points: PositiveInt = 400
    """Points of each set in training, and as many in validation."""


def build(config, splits):
    channels = splits.info.image_shape[-1]
    optimiser = scheduled(
        optax.adam, cosine(config.total_steps(len(splits.train))), learning_rate=config.learning_rate
    )
    hyper = {"learning_rate": config.learning_rate}
    tasks = {
        name: classification_task(
            "mlp",
            {"features": [config.hidden_units] * depth},
            preprocess=augment.Preprocess(splits.info.image_shape, (0.0,) * channels, (1.0,) * channels),
            class_names=splits.info.class_names,
            tx=optimiser,
            hyper=hyper,
        )
        for name, depth in DEPTHS.items()
    }
    return tasks, together(tasks, optimiser, hyper)


def surfaces_of(tasks, sets, part):
    """How the first seed's networks colour the plane, by set and network."""
    plane = plots.grid_points(EXTENT, PIXELS)[:, None, None, :]
    firsts = range(0, len(part.members), len(part.members) // len(sets))
    surfaces = {name: {} for name in sets}
    for model, task in tasks.items():
        probabilities = class_probabilities(task)
        for first, (name, toy) in zip(firsts, sets.items()):
            classes, validation = len(toy.info.class_names), toy.validation.resident()
            variables = {"params": part.variables(first)["params"][model]}
            on_plane = np.asarray(probabilities(variables, plane))[:, :classes]
            surfaces[name][model] = plots.Surface(
                (on_plane / on_plane.sum(1, keepdims=True)).reshape(*PIXELS, classes),
                EXTENT,
                validation["image"][:, 0, 0, :],
                validation["label"],
                part.validation[first][f"top1_{model}"],
            )
    return surfaces


def run(config, env):
    sizes = {"train": config.points, "validation": config.points, "test": 1}
    sets = {name: data.toy_splits(name, seed=config.seed, sizes=sizes) for name in data.TOY_SETS}
    splits, trained_on, held_out = side_by_side(list(sets.values()))
    tasks, task = build(config, splits)
    each = members_of(config, task.hyper)
    members, which = each * len(sets), np.repeat(np.arange(len(sets)), len(each))
    order = data.PopulationOrder(
        [
            data.FoldOrder(len(splits.train), trained_on[i], config.batch_size, member.seed)
            for i, member in zip(which, members)
        ]
    )
    begin(env)
    folds = [held_out[i] for i in which]
    part = train_part(task, splits, config, env, "all", members=members, order=order, held_out=folds)

    top1 = {}
    for model in DEPTHS:
        accuracies = np.array([row[f"top1_{model}"] for row in part.validation]).reshape(len(sets), -1)
        top1[model] = dict(zip(sets, accuracies.mean(1).round(4).tolist()))
    surfaces = surfaces_of(tasks, sets, part)
    claim = linear_fails_where_hidden_layers_succeed(top1)
    figures = draw(surfaces, top1, each)
    conclude(study_result(env, [part], validation_top1=top1), config, env, figures, __doc__, claim=claim)


def linear_fails_where_hidden_layers_succeed(top1):
    """The claim, from mean accuracies by network and set."""
    measured = {model: {name: accuracies[name] for name in NOT_LINEAR} for model, accuracies in top1.items()}
    linear, *deeper = (list(accuracies.values()) for accuracies in measured.values())
    return Claim(
        "A linear classifier fails on XOR and circles, where perceptrons with a hidden layer succeed",
        measured,
        "validation accuracy of linear <= 0.75 on both, of the others >= 0.95",
        bool(np.max(linear) <= 0.75 and np.min(deeper) >= 0.95),
    )


def draw(surfaces, top1, seeds):
    """Figures of the planes, and of accuracies."""
    return {
        "surfaces": (
            f"Class probabilities, validation points and accuracy on them; seed {seeds[0].seed}",
            plots.decision_surfaces(surfaces),
        ),
        "accuracy": (
            f"Validation accuracy, mean of {len(seeds)} networks",
            plots.table_heatmap(
                [[top1[model][name] for model in DEPTHS] for name in surfaces],
                list(surfaces),
                list(DEPTHS),
                format="{:.3f}",
                label="validation accuracy",
            ),
        ),
    }


if __name__ == "__main__":
    launch(run, Config)
