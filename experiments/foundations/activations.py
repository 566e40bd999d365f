"""Activations: each with its derivative, and how much a deep network learns with it in the same number of steps.

The ten activations of the course are drawn. The nine that have a gradient are then the activation of a
multilayer perceptron of several hidden layers, all as wide after the activation, that start from Xavier's weights
and learn the handwritten digits with momentum; each is a population of five seeds, on the same batches. A sigmoid
passes at most a quarter of a gradient on (Glorot & Bengio 2010, "Understanding the difficulty of training deep
feedforward neural networks", section 3), and its network lags behind.

  scripts/run experiments.foundations.activations --workdir runs/activations
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.models.prelu import prelu
from jaxvision.ops import activations
from jaxvision.tasks.classification import classification_task
from jaxvision.tasks.together import together
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.optimizers import OPTIMIZERS
from jaxvision.training.ranges import PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.schedules import constant, scheduled
from jaxvision.training.study import begin, study_result, train_part


@dataclass(frozen=True)
class Config(TrainConfig):
    """Multilayer perceptrons with different activations on digits."""

    epochs: float = 0.0
    steps: int = 200
    batch_size: int = 32
    learning_rate: float = 0.02
    population: int = 5
    steps_per_dispatch: int = 256
    eval_every: str = "200 steps"
    checkpoint_every: str = "200 steps"
    hidden_layers: PositiveInt = 3
    """Number of hidden layers."""
    width: PositiveInt = 32
    """Numbers that a hidden layer hands on."""


HIDDEN = {  # activation, and for each number that it gives how many it takes
    "sigmoid": (activations.sigmoid, 1),
    "tanh": (activations.tanh, 1),
    "relu": (activations.relu, 1),
    "leaky_relu": (activations.leaky_relu, 1),
    "prelu": (prelu, 1),
    "crelu": (activations.crelu, 0.5),
    "maxout": (partial(activations.maxout, pieces=2), 2),
    "elu": (activations.elu, 1),
    "softplus": (activations.softplus, 1),
}
DRAWN = {  # functions of an array [1]
    "step": activations.step,
    **{name: act for name, (act, _) in HIDDEN.items()},
    "prelu": partial(activations.prelu, slope=jnp.float32(0.25)),
    "maxout": lambda x: activations.maxout(jnp.concatenate([-x - 1, 0.3 * x, 2 * x - 2]), pieces=3),
}
WRITTEN = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "prelu": "PReLU", "crelu": "CReLU", "elu": "ELU"}


def build(config, splits):
    optimiser = scheduled(OPTIMIZERS["momentum"], constant(), learning_rate=config.learning_rate)
    hyper = {"learning_rate": config.learning_rate}

    def task(act, inputs):
        return classification_task(
            "mlp",
            {"features": [int(inputs * config.width)] * config.hidden_layers, "act": act, "kernel_init": "xavier"},
            preprocess=augment.Preprocess(splits.info.image_shape, (0.5,), (0.5,)),
            class_names=splits.info.class_names,
            tx=optimiser,
            hyper=hyper,
        )

    return together({name: task(*hidden) for name, hidden in HIDDEN.items()}, optimiser, hyper)


def values_and_derivatives(act, x):
    """Both [N, outputs] of an activation of an array [1], at x [N]."""

    def of_one(number):
        return act(number[None])

    return jax.vmap(of_one)(x), jax.vmap(jax.jacfwd(of_one))(x)


def curves_of(x, values, derivatives):
    """Lines of a panel: an activation with two outputs has four."""
    names = [("value", "derivative"), ("value of the second output", "its derivative")]
    pairs = zip(names, np.moveaxis(np.array([values, derivatives]), -1, 0))
    return {name: (x, y) for both in pairs for name, y in zip(*both)}


def run(config, env):
    splits = data.load("digits", env.data_dir, fake=env.smoke)
    begin(env)
    part = train_part(build(config, splits), splits, config, env, "all")
    scores = {name: np.array([row[f"top1_{name}"] for row in part.validation]) for name in HIDDEN}
    means = {name: round(float(top1.mean()), 4) for name, top1 in scores.items()}
    deviations = [top1.std(ddof=min(1, len(top1) - 1)) for top1 in scores.values()]

    x = np.linspace(-4, 4, 401, dtype=np.float32)
    drawn = {name: values_and_derivatives(act, x) for name, act in DRAWN.items()}
    steepest = float(drawn["sigmoid"][1].max())
    claim = Claim(
        "A sigmoid passes at most a quarter of a gradient on, and in as many steps a deep network learns less with "
        "it than with tanh or ReLU",
        {"steepest_sigmoid": round(steepest, 4), "after_10_layers": float(f"{steepest**10:.3g}"), "top1": means},
        "steepest 0.25; top1 with tanh and with relu at least 0.1 above that with sigmoid",
        abs(steepest - 0.25) < 1e-6 and min(means["tanh"], means["relu"]) >= means["sigmoid"] + 0.1,
    )
    figures = {
        "activations": (
            "The activations and their derivatives: the slope of leaky ReLU is 0.1, that of PReLU, which is "
            "learnt, here 0.25; CReLU has two outputs; maxout is drawn of three lines",
            plots.small_multiples(
                {WRITTEN.get(name, name): curves_of(x, *both) for name, both in drawn.items()},
                x_label="x",
                y_label="f(x), f'(x)",
                y_limits=(-1.3, 2.6),
            ),
        ),
        "accuracy": (
            f"Validation accuracy after {part.steps} steps with {config.hidden_layers} hidden layers, mean and "
            f"standard deviation of {len(part.members)} networks",
            plots.bars(
                {"top1": (list(means.values()), deviations)},
                [WRITTEN.get(name, name) for name in means],
                y_label="validation accuracy",
                y_limits=(0, 1.1),
                title="Accuracy by activation",
            ),
        ),
    }
    conclude(study_result(env, [part], validation_top1=means), config, env, figures, __doc__, claim=claim)


if __name__ == "__main__":
    launch(run, Config)
