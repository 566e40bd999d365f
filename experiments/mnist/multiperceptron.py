"""Multiperceptron: one linear layer and a softmax over the ten digits.

Each class owns one weight per pixel, so its weights are a picture: red where ink speaks for the
class, blue where it speaks against. Minibatch gradient descent with momentum. Published: 88.0 % without
deskewing (LeCun et al. 1998, "Gradient-based learning applied to document recognition", figure 9), with squared
instead of logistic loss.

  scripts/run experiments.mnist.multiperceptron --workdir runs/multiperceptron
"""

from dataclasses import dataclass
from functools import partial

import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures, classification_task
from jaxvision.training.config import TrainConfig
from jaxvision.training.run import finish, train
from jaxvision.training.schedules import cosine, scheduled


@dataclass(frozen=True)
class Config(TrainConfig):
    """A linear softmax classifier on MNIST."""

    epochs: float = 20.0
    learning_rate: float = 0.02
    log_every: str = "0.25 epochs"
    steps_per_dispatch: int = 256
    act: str = "identity"
    """Function of the outputs before the softmax: "identity", or "tanh" as the course draws it."""


def build(config, splits):
    return classification_task(
        "multiperceptron",
        {"act": config.act},
        preprocess=augment.Preprocess(splits.info.image_shape, data.mean_image(splits.train), (0.5,)),
        class_names=splits.info.class_names,
        tx=scheduled(
            partial(optax.sgd, momentum=0.9),
            cosine(config.total_steps(len(splits.train))),
            learning_rate=config.learning_rate,
        ),
        hyper={"learning_rate": config.learning_rate},
    )


def run(config, env):
    splits = data.load("mnist", env.data_dir, fake=env.smoke)
    task = build(config, splits)
    outcome = train(task, splits, config, env)
    weights = outcome.state.params["head"]["kernel"].T.reshape(-1, *splits.info.image_shape)
    figures = {
        "weights": (
            "The weights of each class as an image",
            plots.image_grid(weights, splits.info.class_names, columns=5, diverging=True),
        ),
        **classification_figures(task, outcome),
    }
    finish(outcome, config, env, figures, __doc__)


if __name__ == "__main__":
    launch(run, Config)
