"""Multilayer perceptron 784-64-10 on MNIST.

One hidden layer of 64 rectified linear units, 50,890 parameters, Adam with cosine decay. The
hidden weights are shown as 28x28 images, one a unit; the weights of the classes as 8x8 images, one pixel a
hidden unit. Published: 95.3 % with 300 hidden units (LeCun et al. 1998, figure 9).

  scripts/run experiments.mnist.mlp --workdir runs/mlp
"""

from dataclasses import dataclass

import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures, classification_task
from jaxvision.training.config import TrainConfig
from jaxvision.training.ranges import FractionBelowOne, PositiveInt
from jaxvision.training.run import finish, train
from jaxvision.training.schedules import cosine, scheduled


@dataclass(frozen=True)
class Config(TrainConfig):
    """An MLP on MNIST."""

    epochs: float = 30.0
    learning_rate: float = 3e-3
    eval_every: str = "1 epoch"
    checkpoint_every: str = "5 epochs"
    log_every: str = "0.25 epochs"
    steps_per_dispatch: int = 256
    hidden_units: PositiveInt = 64
    """Width of the hidden layer."""
    dropout_rate: FractionBelowOne = 0.0
    """Probability of a hidden unit to be dropped."""


def build(config, splits):
    return classification_task(
        "mlp",
        {"features": [config.hidden_units], "dropout_rate": config.dropout_rate},
        preprocess=augment.Preprocess(splits.info.image_shape, data.mean_image(splits.train), (0.5,)),
        class_names=splits.info.class_names,
        tx=scheduled(optax.adam, cosine(config.total_steps(len(splits.train))), learning_rate=config.learning_rate),
        hyper={"learning_rate": config.learning_rate},
    )


def run(config, env):
    splits = data.load("mnist", env.data_dir, fake=env.smoke)
    task = build(config, splits)
    outcome = train(task, splits, config, env)
    params = outcome.state.params
    first = params["hidden1"]["kernel"].T.reshape(-1, *splits.info.image_shape)
    second = params["head"]["kernel"].T
    second = np.pad(second, ((0, 0), (0, -config.hidden_units % 8))).reshape(len(second), -1, 8)
    figures = {
        "first_layer": (
            "Weights of each hidden unit as a 28x28 image",
            plots.image_grid(first, columns=8, diverging=True),
        ),
        "second_layer": (
            "Weights of each class, a pixel a hidden unit, in the order of the first figure",
            plots.image_grid(second, splits.info.class_names, columns=5, diverging=True),
        ),
        **classification_figures(task, outcome),
    }
    finish(outcome, config, env, figures, __doc__)


if __name__ == "__main__":
    launch(run, Config)
