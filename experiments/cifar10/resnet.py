"""Residual networks on CIFAR-10, by the recipe of their paper.

He et al. 2015, "Deep residual learning for image recognition", section 4.2; `tasks.small_images` is the
recipe. Published test errors of ResNet-20, 32, 44, 56, 110 and 1202: 8.75, 7.51, 7.17, 6.97, 6.43 and 7.93 %.

  scripts/run experiments.cifar10.resnet --workdir runs/resnet20
  scripts/run experiments.cifar10.resnet --model resnet56 --epochs 8 --workdir runs/resnet56_short
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from jaxvision import data, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures
from jaxvision.tasks.small_images import Recipe, small_image_task
from jaxvision.training.run import finish, train


@dataclass(frozen=True)
class Config(Recipe):
    """A residual network on small images."""

    model: Literal["resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202"] = "resnet20"
    """Which of them."""


def run(config, env):
    splits = data.load(config.dataset, env.data_dir, fake=env.smoke)
    task = small_image_task(config, splits, config.model, **({"blocks": 1} if env.smoke else {}))
    outcome = train(task, splits, config, env)
    filters = np.moveaxis(outcome.state.params["conv1"]["kernel"], -1, 0)
    figures = {
        "filters": (
            "Filters of the first layer, each stretched to its own range",
            plots.image_grid(filters, columns=8, scale="each"),
        ),
        **classification_figures(task, outcome),
    }
    finish(outcome, config, env, figures, __doc__)


if __name__ == "__main__":
    launch(run, Config)
