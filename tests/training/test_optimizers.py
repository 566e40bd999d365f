from functools import partial
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.errors import InputError
from jaxvision.training.descent import descend, parabola
from jaxvision.training.masks import not_bias_or_norm
from jaxvision.training.optimizers import OPTIMIZERS, momentum_gradient, momentum_velocity, with_weight_decay
from jaxvision.training.schedules import constant, scheduled, step_decay
from jaxvision.training.state import inject_hyper

# All tests by hand start where the parabola's derivative 2 x - 5 is 5.
ADADELTA = 5 * sqrt(1e-6) / sqrt(0.05 * 25 + 1e-6)  # the first step of "adadelta", and the derivative after it
ADADELTA_GRADIENT = 5 - 2 * ADADELTA
RMSPROP = 0.1 * 5 / sqrt(0.1 * 25)
RMSPROP_GRADIENT = 5 - 2 * RMSPROP
FIRST_STEPS = {  # the first two points after 5 at learning rate 0.1
    "sgd": (4.5, 4.5 - 0.1 * 4),
    "momentum": (4.5, 4.5 - 0.1 * (4 + 0.9 * 5)),
    "momentum_velocity": (4.5, 4.5 - 0.9 * 0.5 - 0.1 * 4),
    # θ 5, 4.5, 3.74 with v -0.5, -0.9 * 0.5 - 0.1 * 3.1; the derivative is taken at, and the point is, θ + 0.9 v
    "nesterov": (4.5 - 0.9 * 0.5, 3.74 - 0.9 * 0.76),
    "adam": (4.9, 4.9 - 0.1 * ((0.09 * 5 + 0.1 * 4.8) / 0.19) / sqrt((0.000999 * 25 + 0.001 * 4.8**2) / 0.001999)),
    "adamw": (  # with a weight decay of 0.1
        4.85,
        4.85
        - 0.1 * ((0.09 * 5 + 0.1 * 4.7) / 0.19) / sqrt((0.000999 * 25 + 0.001 * 4.7**2) / 0.001999)
        - 0.1 * 0.1 * 4.85,
    ),
    "adagrad": (4.9, 4.9 - 0.1 * 4.8 / sqrt(25 + 4.8**2)),
    "adadelta": (  # at learning rate 1
        5 - ADADELTA,
        5
        - ADADELTA
        - ADADELTA_GRADIENT
        * sqrt(0.05 * ADADELTA**2 + 1e-6)
        / sqrt(0.95 * 0.05 * 25 + 0.05 * ADADELTA_GRADIENT**2 + 1e-6),
    ),
    "rmsprop": (
        5 - RMSPROP,
        5 - RMSPROP - 0.1 * RMSPROP_GRADIENT / sqrt(0.9 * 0.1 * 25 + 0.1 * RMSPROP_GRADIENT**2),
    ),
}
HYPER = {"adadelta": {"learning_rate": 1.0}, "adamw": {"learning_rate": 0.1, "weight_decay": 0.1}}


def first_steps(tx, steps=2):
    """The points after 5, in float64."""
    with jax.enable_x64(True):
        return np.asarray(descend(parabola, tx, jnp.float64(5.0), steps=steps))[1:]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_first_steps_by_hand(name):
    hyper = HYPER.get(name, {"learning_rate": 0.1})
    with jax.enable_x64(True):
        tx = scheduled(OPTIMIZERS[name], constant(), **hyper)
        np.testing.assert_allclose(first_steps(OPTIMIZERS[name](**hyper)), FIRST_STEPS[name], rtol=1e-8)
        np.testing.assert_allclose(first_steps(tx), FIRST_STEPS[name], rtol=1e-8)


def varied_descent(tx, hyper, *, steps, function=parabola, start=5.0):
    """The points after `start`, the optimiser's numbers taken from `hyper` at every step as in the train step."""
    start = jax.tree.map(jnp.float32, start)

    def step(carry, hyper):
        point, state = carry
        state = inject_hyper(state, hyper)
        updates, state = tx.update(jax.grad(function)(point), state, point)
        point = optax.apply_updates(point, updates)
        return (point, state), point

    hyper = {name: jnp.broadcast_to(jnp.float32(value), (steps,)) for name, value in hyper.items()}
    return jax.lax.scan(step, (start, tx.init(start)), hyper, length=steps)[1]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hyper_sets_the_learning_rate_of_every_optimiser(name):
    hyper = HYPER.get(name, {"learning_rate": 0.1})
    tx = scheduled(OPTIMIZERS[name], constant(), **{**hyper, "learning_rate": 7.0})
    np.testing.assert_allclose(varied_descent(tx, hyper, steps=2), FIRST_STEPS[name], rtol=1e-5)


def test_both_forms_of_momentum_are_one_at_a_constant_learning_rate():
    velocity, gradient = (
        first_steps(form(0.1, momentum=0.5), steps=20) for form in (momentum_velocity, momentum_gradient)
    )
    np.testing.assert_allclose(velocity[:3], [4.5, 3.85, 3.255], rtol=1e-12)
    np.testing.assert_allclose(velocity, gradient, rtol=1e-12)


def test_both_forms_of_momentum_differ_after_the_learning_rate_falls():
    """At 3.85 the derivative is 2.7, the velocity -0.65, the sum of gradients 6.5, and 0.1 becomes 0.01."""
    hyper = {"learning_rate": [0.1, 0.1, 0.01], "momentum": 0.5}
    velocity, gradient = (
        varied_descent(scheduled(form, constant(), learning_rate=1.0), hyper, steps=3)
        for form in (momentum_velocity, momentum_gradient)
    )
    np.testing.assert_allclose(velocity, [4.5, 3.85, 3.85 - 0.5 * 0.65 - 0.01 * 2.7], rtol=1e-6)
    np.testing.assert_allclose(gradient, [4.5, 3.85, 3.85 - 0.01 * (2.7 + 0.5 * 6.5)], rtol=1e-6)


def test_a_schedule_is_outside_of_both_forms_unless_it_scales_the_gradients():
    schedule = step_decay(0.1, 2)
    outside = [3.85 - 0.01 * (2.7 + 0.5 * 6.5)]
    for form in (momentum_velocity, momentum_gradient):
        tx = scheduled(form, schedule, learning_rate=0.1, momentum=0.5)
        np.testing.assert_allclose(first_steps(tx, steps=3)[2:], outside, rtol=1e-6)
    inject = optax.inject_hyperparams(momentum_velocity)
    inside = optax.chain(optax.scale_by_schedule(schedule), inject(learning_rate=0.1, momentum=0.5))
    np.testing.assert_allclose(first_steps(inside, steps=3)[2], 3.85 - 0.5 * 0.65 - 0.01 * 2.7, rtol=1e-6)


HALF_MOMENTUM = partial(optax.sgd, momentum=0.5)
DECAYED = [  # optimiser, coupled, the first two points after 5 at learning rate 0.1 and weight decay 0.2
    (optax.sgd, True, (5 - 0.1 * (5 + 1), 4.4 - 0.1 * (3.8 + 0.88))),
    (optax.sgd, False, (5 - 0.1 * (5 + 1), 4.4 - 0.1 * (3.8 + 0.88))),
    (HALF_MOMENTUM, True, (5 - 0.1 * (5 + 1), 4.4 - 0.1 * (0.5 * 6 + 3.8 + 0.88))),
    (HALF_MOMENTUM, False, (5 - 0.1 * (5 + 1), 4.4 - 0.1 * (0.5 * 5 + 3.8) - 0.1 * 0.88)),
    # The first step of Adam is of length 0.1 whatever the gradient: 5, or 5 + 1 with the penalty's.
    (
        optax.adam,
        True,
        (
            4.9,
            4.9 - 0.1 * ((0.09 * 6 + 0.1 * 5.78) / 0.19) / sqrt((0.000999 * 36 + 0.001 * 5.78**2) / 0.001999),
        ),
    ),
    (
        optax.adam,
        False,
        (
            4.9 - 0.1 * 0.2 * 5,
            4.8
            - 0.1 * ((0.09 * 5 + 0.1 * 4.6) / 0.19) / sqrt((0.000999 * 25 + 0.001 * 4.6**2) / 0.001999)
            - 0.1 * 0.2 * 4.8,
        ),
    ),
]


@pytest.mark.parametrize(("optimizer", "coupled", "expected"), DECAYED)
def test_weight_decay_by_hand(optimizer, coupled, expected):
    constructor = with_weight_decay(optimizer, coupled=coupled)
    with jax.enable_x64(True):
        injected = scheduled(constructor, constant(), learning_rate=0.1, weight_decay=0.2)
        np.testing.assert_allclose(first_steps(injected), expected, rtol=1e-8)
        np.testing.assert_allclose(
            first_steps(constructor(learning_rate=0.1, weight_decay=0.2)), expected, rtol=1e-8
        )


def test_coupled_decay_is_the_gradient_of_a_penalty():
    def penalised(x):
        return parabola(x) + 0.2 / 2 * x**2

    decayed = with_weight_decay(optax.rmsprop, coupled=True)(learning_rate=0.1, weight_decay=0.2)
    start = jnp.float32(5.0)
    np.testing.assert_allclose(
        descend(parabola, decayed, start, steps=10),
        descend(penalised, optax.rmsprop(0.1), start, steps=10),
        rtol=1e-5,
    )


def quadratic(params):
    """Some function of a layer's kernel [2] and bias."""
    kernel, bias = params["kernel"], params["bias"]
    return jnp.sum(jnp.array([1.0, 3.0]) * kernel**2) + kernel[0] * bias + bias**2 - 3 * bias


START = {"kernel": np.float32([1, -2]), "bias": np.float32(0.5)}
# An injected 0.999 is of float32: 1 - 0.999 is then off by 5e-5 of itself.
leaves_are_close = partial(jax.tree.map, partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5))


@pytest.mark.parametrize("mask", [None, not_bias_or_norm])
def test_adam_with_decoupled_decay_is_adamw(mask):
    hyper = {"learning_rate": 0.1, "weight_decay": 0.3}
    ours = scheduled(with_weight_decay(optax.adam, coupled=False, mask=mask), constant(), **hyper)
    optaxs = optax.adamw(0.1, weight_decay=0.3, mask=mask)
    leaves_are_close(
        varied_descent(ours, {}, steps=10, function=quadratic, start=START),
        varied_descent(optaxs, {}, steps=10, function=quadratic, start=START),
    )


@pytest.mark.parametrize("coupled", [True, False])
def test_the_mask_says_what_decays(coupled):
    """Without a gradient, kernels shrink by 1 - 0.1 * 0.2 and the bias stays."""
    tx = with_weight_decay(optax.sgd, coupled=coupled, mask=not_bias_or_norm)(learning_rate=0.1, weight_decay=0.2)
    path = varied_descent(tx, {}, steps=2, function=lambda params: 0.0 * params["bias"], start=START)
    np.testing.assert_allclose(path["kernel"], np.array([[0.98], [0.98**2]]) * np.array([[1, -2]]), rtol=1e-6)
    np.testing.assert_array_equal(path["bias"], [0.5, 0.5])


@pytest.mark.parametrize("name", ["momentum", "momentum_velocity", "nesterov", "adam"])
@pytest.mark.parametrize("coupled", [True, False])
def test_a_population_is_its_members(name, coupled):
    constructor = with_weight_decay(OPTIMIZERS[name], coupled=coupled, mask=not_bias_or_norm)
    hyper = {"learning_rate": np.float32([0.01, 0.1]), "weight_decay": np.float32([0.5, 0.1])}
    if name != "adam":
        hyper["momentum"] = np.float32([0.8, 0.0])
    tx = scheduled(constructor, constant(), learning_rate=1.0, weight_decay=1.0)
    walk = partial(varied_descent, steps=8, function=quadratic, start=START)
    together = jax.jit(jax.vmap(lambda hyper: walk(tx, hyper)))(hyper)
    own = [constructor(**{name: float(values[i]) for name, values in hyper.items()}) for i in range(2)]
    apart = [walk(tx, {}) for tx in own]
    leaves_are_close(together, jax.tree.map(lambda *leaves: jnp.stack(leaves), *apart))


def test_an_optimiser_that_decays_weights_takes_no_second_decay():
    with pytest.raises(InputError, match="decays weights already"):
        with_weight_decay(optax.adamw, coupled=False)
