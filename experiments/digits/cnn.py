"""A small convolutional network on scikit-learn's handwritten digits.

The 1,797 8x8 digits (Alpaydin and Kaynak 1998) come with scikit-learn: no download. Two 3x3 convolutions,
max-pooling, a hidden layer with dropout; shifts by up to one pixel as augmentation; Adam with cosine decay.

  scripts/run experiments.digits.cnn --workdir runs/digits
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
    """Digits, 8x8."""

    epochs: float = 60.0
    batch_size: int = 64
    learning_rate: float = 3e-3
    eval_every: str = "5 epochs"
    checkpoint_every: str = "10 epochs"
    dropout_rate: FractionBelowOne = 0.25
    """Probability of a hidden unit to be dropped."""
    max_shift_px: NonNegativeInt = 1
    """Largest random shift of a training image."""


def build(config, splits):
    mean, std = data.channel_statistics(splits.train)
    return classification_task(
        "digits_cnn",
        {"dropout_rate": config.dropout_rate},
        preprocess=augment.Preprocess(splits.info.image_shape, mean, std),
        class_names=splits.info.class_names,
        tx=scheduled(optax.adam, cosine(config.total_steps(len(splits.train))), learning_rate=config.learning_rate),
        hyper={"learning_rate": config.learning_rate},
        augment=partial(augment.translate, max_shift_px=config.max_shift_px),
    )


def run(config, env):
    splits = data.load("digits", env.data_dir, fake=env.smoke)
    task = build(config, splits)
    outcome = train(task, splits, config, env)
    filters = np.moveaxis(outcome.state.params["conv1"]["kernel"][:, :, 0], -1, 0)
    figures = {
        "filters": ("Filters of the first layer", plots.image_grid(filters, diverging=True)),
        "responses": (
            "Responses to the first test image",
            responses_figure(task, outcome, ("conv1", "conv2", "pool")),
        ),
        **classification_figures(task, outcome),
    }
    finish(outcome, config, env, figures, __doc__)


if __name__ == "__main__":
    launch(run, Config)
