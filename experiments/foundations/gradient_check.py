"""Gradients by hand, by differences and by automatic differentiation agree.

COURSE A6. Backpropagation derived by hand (delta, delta^T x, sum of delta, 1 - y^2) for a multiperceptron and for a
multilayer perceptron (Rumelhart, Hinton & Williams 1986, equations 4 to 7), on handwritten digits in float64,
beside `jax.grad` and beside forward and central differences. A smaller step h makes a difference more exact until
rounding takes over, at about eps^(1/2) for the forward and eps^(1/3) for the central one. And the course's example:
f = (x + y) z at (-2, 5, -4) has the gradient (-4, -4, 3).

  scripts/run experiments.foundations.gradient_check --workdir runs/gradient_check
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import data, plots
from jaxvision.launch import launch
from jaxvision.losses import mlp_gradients, multiperceptron_gradients, softmax_cross_entropy, squared_error
from jaxvision.ops.finite_differences import central_difference, forward_difference, relative_error
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.run import conclude
from jaxvision.training.study import begin, study_result

LOSSES = {"cross_entropy": softmax_cross_entropy, "squared": squared_error}
POINT = (-2.0, 5.0, -4.0)
EXPECTED = (-4.0, -4.0, 3.0)
EXACT = 1e-17  # what an error of 0 is drawn as


@dataclass(frozen=True)
class Config(TrainConfig):
    """Three ways to a gradient."""

    examples: int = 20
    """Digits in the batch."""
    hidden_units: int = 8
    """Width of the hidden layer."""
    h: float = 1e-4
    """Step of the differences."""


def product_of_sum(point):
    x, y, z = point
    return (x + y) * z


def product_of_sum_gradients(point):
    """Forward q = x + y; backward df/dz = q, df/dq = z, and both dq/dx and dq/dy are 1."""
    x, y, z = point
    return z, z, x + y


def multiperceptron(layer, x):
    weights, bias = layer
    return jnp.tanh(x @ weights.T + bias[None])


def mlp(layers, x):
    hidden, (weights, bias) = layers
    return multiperceptron(hidden, x) @ weights.T + bias[None]


def cases(config, images, labels):
    """name -> (function of a tree, tree, gradient derived by hand)."""
    rng = np.random.default_rng(config.seed)
    x = images.reshape(len(images), -1) / 255
    targets = np.eye(10)[labels]

    def layer(inputs, outputs):
        return rng.normal(size=(outputs, inputs)) / np.sqrt(inputs), 0.1 * rng.normal(size=outputs)

    single = layer(x.shape[1], 10)
    double = layer(x.shape[1], config.hidden_units), layer(config.hidden_units, 10)

    def mean_loss(network, loss, params):
        return jnp.mean(LOSSES[loss](network(params, x), targets))

    def by_hand(gradients, loss, params):
        return gradients(*params, x, targets, loss=loss)[1]

    networks = {
        "multiperceptron": (multiperceptron, multiperceptron_gradients, single),
        "MLP": (mlp, mlp_gradients, double),
    }
    return {
        "(x + y) z": (product_of_sum, POINT, product_of_sum_gradients),
        **{
            f"{name}, {loss.replace('_', '-')}": (
                partial(mean_loss, network, loss),
                params,
                partial(by_hand, gradients, loss),
            )
            for name, (network, gradients, params) in networks.items()
            for loss in LOSSES
        },
    }


def difference_errors(function, params, h):
    """Relative errors of the forward and of the central difference against autodiff."""
    exact = jax.grad(function)(params)
    return [
        relative_error(method(function, params, h=h), exact) for method in (forward_difference, central_difference)
    ]


def run(config, env):
    digits = data.load("digits", env.data_dir, fake=env.smoke).train
    few = digits.gather(np.arange(min(config.examples, len(digits))))
    steps = 10.0 ** np.arange(-13, -0.5, 0.5)
    begin(env)
    with jax.enable_x64(True):
        checked = cases(config, few["image"].astype(np.float64), few["label"])
        example = [float(slope) for slope in jax.grad(product_of_sum)(POINT)]
        errors = {}
        for name, (function, params, by_hand) in checked.items():
            hand = relative_error(by_hand(params), jax.grad(function)(params))
            errors[name] = np.array([hand, *jax.jit(partial(difference_errors, function))(params, config.h)])
        function, params, _ = checked["MLP, cross-entropy"]
        by_step = jax.jit(lambda steps: jax.lax.map(partial(difference_errors, function, params), steps))(steps)

    table = np.stack(list(errors.values()))
    largest = dict(zip(("by hand", "forward", "central"), (float(f"{error:.2g}") for error in table.max(0))))
    claim = Claim(
        "Gradients derived by hand, central differences and automatic differentiation agree",
        {"largest relative error": largest, "gradient of (x + y) z": example},
        f"by hand <= 1e-12, central <= 1e-6, the gradient exactly {EXPECTED}",
        bool(largest["by hand"] <= 1e-12 and largest["central"] <= 1e-6 and tuple(example) == EXPECTED),
    )
    figures = {
        "errors": (
            f"Relative error against automatic differentiation, -17 where there is none; h = {config.h:g}",
            plots.table_heatmap(
                np.log10(np.maximum(table, EXACT)),
                list(errors),
                ["by hand", "forward", "central"],
                format="{:.1f}",
                label="log10 of the relative error",
            ),
        ),
        "step": (
            "Error of the differences by their step h, MLP with cross-entropy in float64: truncation falls with h "
            "(forward) and h^2 (central), rounding rises with 1 / h",
            plots.lines(
                {name: (steps, np.asarray(error)) for name, error in zip(("forward", "central"), by_step)},
                x_label="step h",
                y_label="relative error",
                log_x=True,
                log_y=True,
                markers=True,
            ),
        ),
    }
    result = study_result(env, [], relative_errors={name: row.tolist() for name, row in errors.items()})
    conclude(result, config, env, figures, __doc__, claim=claim)


if __name__ == "__main__":
    launch(run, Config)
