"""LeNet-5 on MNIST (LeCun et al. 1998, "Gradient-based learning applied to document recognition").

Two 5x5 convolutions with pooling, three dense layers, 61,706 parameters. Rectified linear units and
max-pooling where the paper has tanh and trainable averages; shifts by up to two pixels; Adam with cosine decay.
Published: 99.05 %, and 99.2 % with distortions (figure 9).

  scripts/run experiments.mnist.lenet --workdir runs/lenet
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
    """LeNet-5 on MNIST."""

    epochs: float = 8.0
    learning_rate: float = 3e-3
    max_shift_px: NonNegativeInt = 2
    """Largest random shift of a training image."""


def build(config, splits):
    return classification_task(
        "lenet",
        {},
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
    filters = np.moveaxis(outcome.state.params["C1"]["kernel"][:, :, 0], -1, 0)
    layers = ("C1", "S2", "C3", "S4")
    figures = {
        "filters": ("Filters of the first layer", plots.image_grid(filters, columns=3, diverging=True)),
        "responses": ("Responses to the first test image", responses_figure(task, outcome, layers)),
        **classification_figures(task, outcome),
    }
    finish(outcome, config, env, figures, __doc__)


if __name__ == "__main__":
    launch(run, Config)
