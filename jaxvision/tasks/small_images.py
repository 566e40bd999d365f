"""The recipe of residual networks on small images, for every network that is to be compared with them.

He et al. 2015, "Deep residual learning for image recognition", section 4.2: stochastic gradient descent with
momentum, weight decay on all parameters, batches of 128, a learning rate of 0.1 that falls to a tenth at half and
at three quarters of 64,000 updates, images padded by 4 pixels, cropped back at random and flipped.
"""

from dataclasses import dataclass
from functools import partial

import optax

from jaxvision import augment
from jaxvision.data import channel_statistics
from jaxvision.errors import InputError
from jaxvision.tasks.classification import classification_task
from jaxvision.training.config import TrainConfig
from jaxvision.training.optimizers import momentum_gradient, with_weight_decay
from jaxvision.training.ranges import FractionBelowOne, NonNegativeFloat, NonNegativeInt
from jaxvision.training.run import Task
from jaxvision.training.schedules import scheduled

SHORTCUTS = {"plain": "none", "residual": "A"}


@dataclass(frozen=True)
class Recipe(TrainConfig):
    """How the paper trains on small images."""

    epochs: float = 0.0
    steps: int = 64_000
    learning_rate: float = 0.1
    dataset: str = "cifar10"
    """Name of a prepared data set, such as a folder of images."""
    momentum: FractionBelowOne = 0.9
    """Part of the last step that is added to the next."""
    weight_decay: NonNegativeFloat = 1e-4
    """Weight of half the sum of squares of the parameters in the loss."""
    padding: NonNegativeInt = 4
    """Pixels an image is padded by before it is cropped back at random."""


def small_image_task(config: Recipe, splits, model: str, **fields) -> Task:
    """Train the named model with these fields on the splits of a data set by the recipe."""
    steps = config.total_steps(len(splits.train))
    sgd = with_weight_decay(momentum_gradient, coupled=True)
    falling = optax.piecewise_constant_schedule(1.0, {steps // 2: 0.1, 3 * steps // 4: 0.1})
    hyper = {"learning_rate": config.learning_rate, "weight_decay": config.weight_decay}
    return classification_task(
        model,
        fields,
        preprocess=augment.Preprocess(splits.info.image_shape, *channel_statistics(splits.train)),
        class_names=splits.info.class_names,
        tx=scheduled(sgd, falling, momentum=config.momentum, **hyper),
        hyper=hyper,
        augment=augment.chain(augment.horizontal_flip, partial(augment.pad_and_crop, padding=config.padding)),
    )


def by_depth(config: Recipe, splits, layers: int, kind: str) -> Task:
    """The recipe for a network of 6 n + 2 layers, "plain" or "residual". Raises InputError for other depths."""
    if layers < 8 or layers % 6 != 2:
        raise InputError(f"{layers} layers: expected 2 more than a multiple of 6, such as 20 or 56")
    return small_image_task(config, splits, "resnet20", blocks=(layers - 2) // 6, shortcut=SHORTCUTS[kind])
