"""The course's CIFAR-10 network: C1 P2(max) C3 P4(average) C5 P6(average) F7 F8, with dropout.

The sizes are those of Krizhevsky's cuda-convnet "quick" network, 145,578 parameters (about 75 %
without augmentation on the original images). Flips and shifts as augmentation, Adam with cosine decay.

  scripts/run experiments.cifar10.course_cnn --workdir runs/course_cnn
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures, classification_task, responses_figure
from jaxvision.training.config import TrainConfig
from jaxvision.training.ranges import FractionBelowOne, NonNegativeInt
from jaxvision.training.run import finish, train
from jaxvision.training.schedules import cosine, scheduled


@dataclass(frozen=True)
class Config(TrainConfig):
    """The course's network on CIFAR-10."""

    epochs: float = 10.0
    learning_rate: float = 2e-3
    dropout_rate: FractionBelowOne = 0.25
    """Probability of a unit of F7 to be dropped."""
    padding: NonNegativeInt = 2
    """Pixels an image is padded by before it is cropped back at random."""


def build(config, splits):
    return classification_task(
        "course_cifar_cnn",
        {"dropout_rate": config.dropout_rate},
        preprocess=augment.Preprocess(splits.info.image_shape, *data.channel_statistics(splits.train)),
        class_names=splits.info.class_names,
        tx=scheduled(optax.adam, cosine(config.total_steps(len(splits.train))), learning_rate=config.learning_rate),
        hyper={"learning_rate": config.learning_rate},
        augment=augment.chain(augment.horizontal_flip, partial(augment.pad_and_crop, padding=config.padding)),
    )


def run(config, env):
    splits = data.load("cifar10", env.data_dir, fake=env.smoke)
    task = build(config, splits)
    outcome = train(task, splits, config, env)
    filters = np.moveaxis(outcome.state.params["C1"]["kernel"], -1, 0)
    layers = ("C1", "P2", "C3", "P4", "C5")
    figures = {
        "filters": (
            "Filters of C1, each stretched to its own range",
            plots.image_grid(filters, columns=8, scale="each"),
        ),
        "responses": ("Responses to the first test image", responses_figure(task, outcome, layers)),
        **classification_figures(task, outcome),
    }
    finish(outcome, config, env, figures, __doc__)


if __name__ == "__main__":
    launch(run, Config)
