"""Residual networks on CIFAR-10, by the recipe of their paper.

COURSE C8; He et al. 2015, "Deep residual learning for image recognition", section 4.2: stochastic gradient descent
with momentum, weight decay on all parameters, batches of 128, a learning rate of 0.1 that falls to a tenth at half
and at three quarters of 64,000 updates, images padded by 4 pixels, cropped back at random and flipped. Published
test errors of ResNet-20, 32, 44, 56, 110 and 1202: 8.75, 7.51, 7.17, 6.97, 6.43 and 7.93 %.

  scripts/run experiments.cifar10.resnet --workdir runs/resnet20
  scripts/run experiments.cifar10.resnet --model resnet56 --epochs 8 --workdir runs/resnet56_short
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures, classification_task
from jaxvision.training.config import TrainConfig
from jaxvision.training.optimizers import momentum_gradient, with_weight_decay
from jaxvision.training.run import finish, train
from jaxvision.training.schedules import scheduled


@dataclass(frozen=True)
class Recipe(TrainConfig):
    """How the paper trains on small images."""

    epochs: float = 0.0
    steps: int = 64_000
    learning_rate: float = 0.1
    dataset: str = "cifar10"
    """Name of a prepared data set, such as a folder of images."""
    momentum: float = 0.9
    """Part of the last step that is added to the next."""
    weight_decay: float = 1e-4
    """Weight of half the sum of squares of the parameters in the loss."""
    padding: int = 4
    """Pixels an image is padded by before it is cropped back at random."""


@dataclass(frozen=True)
class Config(Recipe):
    """A residual network on small images."""

    model: Literal["resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202"] = "resnet20"
    """Which of them."""


def build(config, splits, model, **fields):
    """The paper's recipe for a model of the house."""
    steps = config.total_steps(len(splits.train))
    sgd = with_weight_decay(momentum_gradient, coupled=True)
    falling = optax.piecewise_constant_schedule(1.0, {steps // 2: 0.1, 3 * steps // 4: 0.1})
    hyper = {"learning_rate": config.learning_rate, "weight_decay": config.weight_decay}
    return classification_task(
        model,
        fields,
        preprocess=augment.Preprocess(splits.info.image_shape, *data.channel_statistics(splits.train)),
        class_names=splits.info.class_names,
        tx=scheduled(sgd, falling, momentum=config.momentum, **hyper),
        hyper=hyper,
        augment=augment.chain(augment.horizontal_flip, partial(augment.pad_and_crop, padding=config.padding)),
    )


def run(config, env):
    splits = data.load(config.dataset, env.data_dir, fake=env.smoke)
    task = build(config, splits, config.model, **({"blocks": 1} if env.smoke else {}))
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
