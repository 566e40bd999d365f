"""Degradation: a deeper plain network learns the training images worse, a deeper residual network does not.

He et al. 2015, "Deep residual learning for image recognition", section 4.2 and figure 6: with 20 and 56
layers, by the recipe of `tasks.small_images`. What is compared is the error on the *training* images, so
that over-fitting explains nothing: the larger network could do all the smaller one does.

  scripts/run experiments.cifar10.plain_against_residual --workdir runs/degradation
  scripts/run experiments.cifar10.plain_against_residual --learning-rate 0.02 --epochs 1.5 --workdir runs/short

The second takes some 40 minutes on two cores. In so few epochs the paper's learning rate of 0.1 is too high for
56 layers, residual or not.
"""

from dataclasses import dataclass, replace

from jaxvision import data, plots
from jaxvision.launch import launch
from jaxvision.tasks.small_images import SHORTCUTS, Recipe, by_depth
from jaxvision.training.claim import Claim
from jaxvision.training.learning_curves import learning_curves
from jaxvision.training.ranges import PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.study import begin, study_result, train_part


@dataclass(frozen=True)
class Config(Recipe):
    """Plain and residual networks of two depths."""

    log_every: str = "100 steps"
    shallow: PositiveInt = 20
    """Layers of the smaller networks, 2 more than a multiple of 6."""
    deep: PositiveInt = 56
    """Layers of the larger ones."""


def run(config, env):
    if env.smoke:
        config = replace(config, shallow=8, deep=14)
    splits = data.load(config.dataset, env.data_dir, fake=env.smoke)
    sizes = [(kind, layers) for kind in SHORTCUTS for layers in (config.shallow, config.deep)]
    tasks = {size: by_depth(config, splits, size[1], size[0]) for size in sizes}
    begin(env)
    parts = {
        f"{layers} {kind} layers": train_part(task, splits, config, env, f"{kind}{layers}")
        for (kind, layers), task in tasks.items()
    }
    errors = {
        name: {"train": 1 - mean_top1(part.train), "validation": 1 - mean_top1(part.validation)}
        for name, part in parts.items()
    }
    plain_shallow, plain_deep, residual_shallow, residual_deep = (error["train"] for error in errors.values())
    claim = Claim(
        "A deeper plain network has the higher training error; a deeper residual network has not",
        {name: round(error["train"], 4) for name, error in errors.items()},
        "deep above shallow by 0.01 or more if plain; below, or above by less than half as much, if residual",
        bool(
            plain_deep - plain_shallow >= 0.01
            and residual_deep - residual_shallow < (plain_deep - plain_shallow) / 2
        ),
    )
    figures = {
        "training_error": (
            "Error on the augmented training images while training",
            plots.lines(
                {name: error_curve(part) for name, part in parts.items()},
                x_label="step",
                y_label="training error",
                title="Training error by depth",
            ),
        )
    }
    conclude(study_result(env, list(parts.values()), error=errors), config, env, figures, __doc__, claim=claim)


def mean_top1(rows):
    return sum(row["top1"] for row in rows) / len(rows)


def error_curve(part):
    """Steps and training errors, the mean over members."""
    steps, top1 = learning_curves(part.records, "top1", members=len(part.members))
    return steps, 1 - top1.mean(0)


if __name__ == "__main__":
    launch(run, Config)
