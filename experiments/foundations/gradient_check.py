"""Gradients by hand, by differences and by automatic differentiation agree.

Backpropagation derived by hand (delta, delta^T x, sum of delta, 1 - y^2) for a multiperceptron and for a
multilayer perceptron (Rumelhart, Hinton & Williams 1986, equations 4 to 7), on handwritten digits in float64 and
for the weights of ten seeds, beside `jax.grad` and beside forward and central differences. A smaller step h makes a
difference more exact until rounding takes over, at about eps^(1/2) for the forward and eps^(1/3) for the central
one. And the course's example: f = (x + y) z at (-2, 5, -4) has the gradient (-4, -4, 3).

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
from jaxvision.training.config import RunConfig
from jaxvision.training.population import stack
from jaxvision.training.ranges import PositiveFloat, PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.study import begin, study_result

LOSSES = {"cross_entropy": softmax_cross_entropy, "squared": squared_error}
POINT = (-2.0, 5.0, -4.0)
EXPECTED = (-4.0, -4.0, 3.0)
EXACT = 1e-17  # what an error of 0 is drawn as
WAYS = ("by hand", "forward", "central")
STEPS = 10.0 ** np.arange(-13, -0.5, 0.5)


@dataclass(frozen=True)
class Config(RunConfig):
    """Three ways to a gradient."""

    population: PositiveInt = 10
    """Seeds the networks are drawn from, from --seed on; what counts is the largest error."""
    examples: PositiveInt = 20
    """Digits in the batch."""
    hidden_units: PositiveInt = 8
    """Width of the hidden layer."""
    h: PositiveFloat = 1e-4
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


def networks_of(seed, inputs, hidden_units):
    """name -> parameters of a network that knows ten classes."""
    rng = np.random.default_rng(seed)

    def layer(inputs, outputs):
        return rng.normal(size=(outputs, inputs)) / np.sqrt(inputs), 0.1 * rng.normal(size=outputs)

    return {"multiperceptron": layer(inputs, 10), "MLP": (layer(inputs, hidden_units), layer(hidden_units, 10))}


def cases(config, images, labels):
    """name -> (function of a tree, gradient derived by hand, trees [P, ...], one for each seed)."""
    x = images.reshape(len(images), -1) / 255
    targets = np.eye(10)[labels]
    seeds = range(config.seed, config.seed + config.population)
    drawn = stack([networks_of(seed, x.shape[1], config.hidden_units) for seed in seeds])

    def mean_loss(network, loss, params):
        return jnp.mean(LOSSES[loss](network(params, x), targets))

    def by_hand(gradients, loss, params):
        return gradients(*params, x, targets, loss=loss)[1]

    networks = {
        "multiperceptron": (multiperceptron, multiperceptron_gradients),
        "MLP": (mlp, mlp_gradients),
    }
    return {
        "(x + y) z": (product_of_sum, product_of_sum_gradients, stack([POINT])),
        **{
            f"{name}, {loss.replace('_', '-')}": (
                partial(mean_loss, network, loss),
                partial(by_hand, gradients, loss),
                drawn[name],
            )
            for name, (network, gradients) in networks.items()
            for loss in LOSSES
        },
    }


def difference_errors(function, params, h):
    """Relative errors [2] of the forward and of the central difference against autodiff."""
    exact = jax.grad(function)(params)
    differences = (method(function, params, h=h) for method in (forward_difference, central_difference))
    return jnp.stack([relative_error(difference, exact) for difference in differences])


def errors_of(function, by_hand, h, params):
    """Relative errors [3] against autodiff: by hand, of the forward and of the central difference."""
    hand = relative_error(by_hand(params), jax.grad(function)(params))
    return jnp.append(hand, difference_errors(function, params, h))


def largest_errors(config, function, by_hand, params):
    """The largest of `errors_of` all seeds, [3]."""
    return np.max(jax.jit(jax.vmap(partial(errors_of, function, by_hand, config.h)))(params), axis=0)


def errors_by_step(function, params):
    """`difference_errors` [P, steps, 2] for all STEPS."""
    by_steps = jax.vmap(jax.vmap(partial(difference_errors, function), (None, 0)), (0, None))
    return np.asarray(jax.jit(by_steps)(params, STEPS))


def run(config, env):
    few = data.load("digits", env.data_dir, fake=env.smoke).few(config.examples).train.resident()
    begin(env)
    with jax.enable_x64(True):
        checked = cases(config, few["image"].astype(np.float64), few["label"])
        example = [float(slope) for slope in jax.grad(product_of_sum)(POINT)]
        errors = {name: largest_errors(config, *case) for name, case in checked.items()}
        function, _, params = checked["MLP, cross-entropy"]
        by_step = errors_by_step(function, params)

    seeds = f"{config.population} seed{'s' * (config.population > 1)}"
    claim = three_gradients_agree(errors, example, seeds)
    figures = draw(config, errors, by_step, seeds)
    result = study_result(env, [], relative_errors={name: row.tolist() for name, row in errors.items()})
    conclude(result, config, env, figures, __doc__, claim=claim)


def three_gradients_agree(errors, example, seeds):
    """The claim, from the largest errors [3] by function, and the gradient of the example."""
    table = np.stack(list(errors.values()))
    largest = dict(zip(WAYS, (float(f"{error:.2g}") for error in table.max(0))))
    return Claim(
        "Gradients derived by hand, central differences and automatic differentiation agree",
        {"largest relative error": largest, "gradient of (x + y) z": example},
        f"of {seeds}, by hand <= 1e-12, central <= 1e-6, the gradient exactly {EXPECTED}",
        bool(largest["by hand"] <= 1e-12 and largest["central"] <= 1e-6 and tuple(example) == EXPECTED),
    )


def draw(config, errors, by_step, seeds):
    """Figures of the largest errors [3] by function, and of errors [P, steps, 2] by the differences' step."""
    return {
        "errors": (
            f"Relative error against automatic differentiation, the largest of {seeds}, -17 where there is none; "
            f"h = {config.h:g}",
            plots.table_heatmap(
                np.log10(np.maximum(np.stack(list(errors.values())), EXACT)),
                list(errors),
                WAYS,
                format="{:.1f}",
                label="log10 of the relative error",
            ),
        ),
        "step": (
            "Error of the differences by their step h, MLP with cross-entropy in float64: truncation falls with h "
            f"(forward) and h^2 (central), rounding rises with 1 / h. Median, lowest and highest of {seeds}",
            plots.lines(
                {
                    name: (STEPS, np.median(error, axis=0), [error.min(axis=0), error.max(axis=0)])
                    for name, error in zip(WAYS[1:], np.moveaxis(by_step, -1, 0))
                },
                x_label="step h",
                y_label="relative error",
                log_x=True,
                log_y=True,
                markers=True,
            ),
        ),
    }


if __name__ == "__main__":
    launch(run, Config)
