"""The course's first convolutional network on MNIST: nine 5x5 filters, max-pooling, classifier.

28x28 -> 24x24x9 -> 12x12x9 -> 10, 13,204 parameters. Shifts by up to one pixel, Adam with
cosine decay.

  scripts/run experiments.mnist.cnn --workdir runs/cnn
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures, classification_task, responses_figure
from jaxvision.training.config import TrainConfig
from jaxvision.training.ranges import NonNegativeInt
from jaxvision.training.run import finish, train
from jaxvision.training.schedules import cosine, scheduled


@dataclass(frozen=True)
class Config(TrainConfig):
    """A one-layer convolutional network on MNIST."""

    epochs: float = 8.0
    batch_size: int = 64
    learning_rate: float = 3e-3
    max_shift_px: NonNegativeInt = 1
    """Largest random shift of a training image."""
    pool: bool = True
    """Max-pooling after the filters; without it the classifier has 51,840 weights."""


def build(config, splits):
    return classification_task(
        "course_mnist_cnn",
        {"pool": config.pool},
        preprocess=augment.Preprocess(splits.info.image_shape, *data.channel_statistics(splits.train)),
        class_names=splits.info.class_names,
        tx=scheduled(optax.adam, cosine(config.total_steps(len(splits.train))), learning_rate=config.learning_rate),
        hyper={"learning_rate": config.learning_rate},
        augment=partial(augment.translate, max_shift_px=config.max_shift_px),
    )


def run(config, env):
    splits = data.load("mnist", env.data_dir, fake=env.smoke)
    task = build(config, splits)
    outcome = train(task, splits, config, env)
    filters = np.moveaxis(outcome.state.params["conv1"]["kernel"][:, :, 0], -1, 0)
    layers = ("conv1", "pool1") if config.pool else ("conv1",)
    figures = {
        "filters": ("The nine filters", plots.image_grid(filters, columns=3, diverging=True)),
        "responses": ("Responses to the first test image", responses_figure(task, outcome, layers)),
        **classification_figures(task, outcome),
    }
    finish(outcome, config, env, figures, __doc__)


if __name__ == "__main__":
    launch(run, Config)
