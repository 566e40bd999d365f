import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, ndtr

from jaxvision.errors import InputError
from jaxvision.ops.activations import ACTIVATIONS, crelu, gelu, gelu_tanh, leaky_relu, maxout, prelu, step
from tests.models.test_contract import names_in
from tests.ops.numerics import KINK_DISTANCE, STEP, assert_close, compiled

LOG2, LOG3 = np.log(2), np.log(3)
BY_HAND = [  # x, value, derivative
    ("elu", -LOG2, -1 / 2, 1 / 2),
    ("elu", 0, 0, 1),
    ("elu", 3, 3, 1),
    ("gelu", -1, -0.15865525, -0.08331547),  # -Φ(-1), Φ(-1) - φ(1)
    ("gelu", 0, 0, 1 / 2),
    ("gelu", 1, 0.84134475, 1.08331547),
    ("gelu_tanh", 0, 0, 1 / 2),
    ("gelu_tanh", 1, 0.84119199, 1.08296408),
    ("identity", -7, -7, 1),
    ("leaky_relu", -2, -0.2, 0.1),
    ("leaky_relu", 0, 0, 0.1),
    ("leaky_relu", 2, 2, 1),
    ("relu", -2, 0, 0),
    ("relu", 0, 0, 0),
    ("relu", 2, 2, 1),
    ("relu6", 0, 0, 0),
    ("relu6", 5, 5, 1),
    ("relu6", 6, 6, 0),
    ("relu6", 7, 6, 0),
    ("sigmoid", 0, 1 / 2, 1 / 4),
    ("sigmoid", LOG3, 3 / 4, 3 / 16),
    ("silu", 0, 0, 1 / 2),
    ("silu", 1, 0.73105858, 0.92767051),
    ("softplus", 0, LOG2, 1 / 2),
    ("softplus", LOG3, 2 * LOG2, 3 / 4),
    ("step", -1, -1, 0),
    ("step", 0, 1, 0),
    ("tanh", 0, 0, 1),
    ("tanh", LOG2, 3 / 5, 16 / 25),
]


@functools.cache
def values_and_slopes():
    """Of every named activation: x -> (value, derivative)."""
    return compiled(lambda x: {name: jax.value_and_grad(act)(x) for name, act in ACTIVATIONS.items()})


@pytest.mark.parametrize(("name", "x", "value", "slope"), BY_HAND)
def test_by_hand(name, x, value, slope):
    np.testing.assert_allclose(values_and_slopes()(float(x))[name], (value, slope), rtol=1e-6, atol=1e-7)


def test_by_hand_covers_the_table():
    assert {name for name, *_ in BY_HAND} == ACTIVATIONS.keys()


def operators(pieces):
    """Every activation as a function of x [..., C], a slope for each channel [C] and one for all []."""
    return {
        **{name: lambda x, slope, leak, act=act: act(x) for name, act in ACTIVATIONS.items()},
        "leaky_relu of a slope": lambda x, slope, leak: leaky_relu(x, slope=leak),
        "prelu": lambda x, slope, leak: prelu(x, slope),
        "prelu with one slope": lambda x, slope, leak: prelu(x, leak),
        "crelu": lambda x, slope, leak: crelu(x),
        "maxout": lambda x, slope, leak: maxout(x, pieces),
    }


def weights_like(out):
    return np.cos(np.arange(out.size, dtype=out.dtype)).reshape(out.shape)


@functools.cache
def measure(pieces):
    """inputs, directions -> of every operator its value, its change along the directions, weighted gradients."""

    def measure(inputs, directions):
        measured = {}
        for name, operator in operators(pieces).items():
            value, tangent = jax.jvp(operator, inputs, directions)
            measured[name] = value, tangent, jax.vjp(operator, *inputs)[1](weights_like(value))
        return measured

    return compiled(measure)


def elementwise(x, leak):
    """(value, derivative) in numpy, written independently."""
    bell, tanh = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), np.tanh
    u, du = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3), np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    inside, ones = (x > 0) & (x < 6), np.ones_like(x)
    return {
        "elu": (np.where(x > 0, x, np.expm1(np.minimum(x, 0))), np.exp(np.minimum(x, 0))),
        "gelu": (x * ndtr(x), ndtr(x) + x * bell),
        "gelu_tanh": (x * (1 + tanh(u)) / 2, (1 + tanh(u)) / 2 + x * (1 - tanh(u) ** 2) * du / 2),
        "identity": (x, ones),
        "leaky_relu": (np.maximum(x, 0.1 * x), np.where(x > 0, 1, 0.1)),
        "leaky_relu of a slope": (np.where(x > 0, x, leak * x), np.where(x > 0, 1, leak)),
        "relu": (np.maximum(x, 0), x > 0),
        "relu6": (np.clip(x, 0, 6), inside),
        "sigmoid": (expit(x), expit(x) * expit(-x)),
        "silu": (x * expit(x), expit(x) * (1 + x * expit(-x))),
        "softplus": (np.logaddexp(x, 0), expit(x)),
        "step": (2.0 * (x >= 0) - 1, 0 * ones),
        "tanh": (tanh(x), 1 - tanh(x) ** 2),
    }


def reference(x, slope, leak, pieces):
    """(value, gradient at x, at slope) of every operator; None where an operator does not use its slope."""
    expected = {name: (value, d * weights_like(value), None) for name, (value, d) in elementwise(x, leak).items()}
    weights, negative = weights_like(x), np.minimum(x, 0)
    for name, s in (("prelu", slope), ("prelu with one slope", leak)):
        s = np.broadcast_to(s, x.shape)
        at_slope = (weights * negative).reshape(-1, x.shape[-1])
        at_slope = at_slope.sum(axis=0) if name == "prelu" else at_slope.sum()
        expected[name] = np.where(x > 0, x, s * x), weights * np.where(x > 0, 1, s), at_slope
    both = np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis=-1)
    first, second = np.split(weights_like(both), 2, axis=-1)
    expected["crelu"] = both, first * (x > 0) - second * (x < 0), None
    groups = x.reshape(-1, pieces)
    winners = np.eye(pieces)[groups.argmax(axis=1)]
    largest = groups.max(axis=1).reshape(*x.shape[:-1], -1)
    expected["maxout"] = largest, (winners * weights_like(largest).reshape(-1, 1)).reshape(x.shape), None
    return expected


def draw_inputs(shape, scale, seed):
    """x with kinks and ties in it, a slope for each channel and one for all."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, scale, shape)
    x = np.where(rng.random(shape) < 0.2, rng.choice([0.0, -0.0, 6.0, scale], shape), x)
    x.flat[0] = min(scale, 1) * rng.random()  # where all is flat, 1e-5 of the largest slope is below rounding
    return x.astype(np.float32), rng.normal(0, 1, shape[-1]).astype(np.float32), np.float32(rng.normal())


SHAPES = st.sampled_from([((4,), 2), ((3, 6), 3), ((3, 6), 1), ((2, 3, 2, 4), 4)])
SCALES = st.sampled_from([1e-3, 0.3, 1.0, 3.0, 10.0, 1e4])
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(SHAPES, SCALES, SEEDS)
def test_values_and_gradients_equal_numpy(shape_and_pieces, scale, seed):
    shape, pieces = shape_and_pieces
    inputs = draw_inputs(shape, scale, seed)
    measured = measure(pieces)(inputs, inputs)
    expected = reference(*(array.astype(np.float64) for array in inputs), pieces)
    assert measured.keys() == expected.keys()
    for name, (value, at_x, at_slope) in expected.items():
        ours, _, (ours_at_x, ours_at_slope, ours_at_leak) = measured[name]
        assert ours.dtype == ours_at_x.dtype == np.float32
        assert_close((ours, ours_at_x), (value, at_x))
        if name == "prelu":
            assert_close(ours_at_slope, at_slope)
        if name == "prelu with one slope":
            scale = np.abs(inputs[0]).max() * inputs[0].size  # the gradient is one sum, which may cancel
            np.testing.assert_allclose(ours_at_leak / scale, at_slope / scale, rtol=0, atol=1e-6)


def away_from_kinks(shape, scale, seed):
    """float64 x whose elements differ, and lie off 0 and 6, by 10 steps of the difference or more."""
    rng = np.random.default_rng(seed)
    size = np.prod(shape)
    x = scale * (rng.permutation(size) - size // 2 + 0.5 + rng.uniform(-0.25, 0.25, size)).reshape(shape)
    x = np.where(np.abs(x - 6) < KINK_DISTANCE, x + 2 * KINK_DISTANCE, x)
    return x, rng.normal(size=shape[-1]), rng.normal()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(SHAPES, st.sampled_from([0.01, 0.05, 0.3]), SEEDS)
def test_differentiates(shape_and_pieces, scale, seed):
    shape, pieces = shape_and_pieces
    inputs = away_from_kinks(shape, scale, seed)
    rng = np.random.default_rng(seed)
    directions = tuple(rng.uniform(-1, 1, np.shape(array)) for array in inputs)
    forward, backward = (
        tuple(array + sign * STEP * direction for array, direction in zip(inputs, directions)) for sign in (1, -1)
    )
    with jax.enable_x64(True):
        here, ahead, behind = (
            jax.device_get(measure(pieces)(at, directions)) for at in (inputs, forward, backward)
        )
    for name, (value, tangent, gradients) in here.items():
        difference = (ahead[name][0] - behind[name][0]) / (2 * STEP)
        scale = max(np.abs(difference).max(), np.abs(value).max(), 1)
        np.testing.assert_allclose(tangent / scale, difference / scale, rtol=0, atol=1e-6, err_msg=name)
        transposed = sum(np.vdot(gradient, direction) for gradient, direction in zip(gradients, directions))
        np.testing.assert_allclose(transposed, np.vdot(weights_like(value), tangent), rtol=1e-9, atol=1e-9)


@pytest.mark.parity
@settings(max_examples=300, deadline=None, derandomize=True)
@given(SHAPES, SCALES, SEEDS)
def test_values_and_gradients_equal_torch(shape_and_pieces, scale, seed):
    import torch
    from torch.nn import functional

    shape, pieces = shape_and_pieces
    inputs = draw_inputs(shape, scale, seed)
    measured = measure(pieces)(inputs, inputs)
    leak = float(inputs[2])

    def torch_prelu(x, slope):
        return functional.prelu(x.reshape(-1, shape[-1]), slope.reshape(-1)).reshape(shape)

    theirs = {
        "elu": lambda x, *_: functional.elu(x),
        "gelu": lambda x, *_: functional.gelu(x),
        "gelu_tanh": lambda x, *_: functional.gelu(x, approximate="tanh"),
        "leaky_relu": lambda x, *_: functional.leaky_relu(x, 0.1),
        "leaky_relu of a slope": lambda x, *_: functional.leaky_relu(x, leak),
        "relu": lambda x, *_: functional.relu(x),
        "relu6": lambda x, *_: functional.relu6(x),
        "sigmoid": lambda x, *_: torch.sigmoid(x),
        "silu": lambda x, *_: functional.silu(x),
        "softplus": lambda x, *_: functional.softplus(x),
        "tanh": lambda x, *_: torch.tanh(x),
        "prelu": lambda x, slope, _: torch_prelu(x, slope),
        "prelu with one slope": lambda x, _, leak: torch_prelu(x, leak),
        "crelu": lambda x, *_: torch.cat([functional.relu(x), functional.relu(-x)], dim=-1),
        "maxout": lambda x, *_: x.reshape(-1, pieces).max(dim=1).values.reshape(*shape[:-1], -1),
    }
    assert theirs.keys() == operators(pieces).keys() - {"identity", "step"}
    for name, operator in theirs.items():
        tensors = [torch.tensor(array, requires_grad=True) for array in inputs]
        out = operator(*tensors)
        out.backward(torch.from_numpy(weights_like(out.detach().numpy())))
        value, _, gradients = measured[name]
        assert_close((value, gradients[0]), (out.detach().numpy(), tensors[0].grad.numpy()))
        if name == "prelu":
            assert_close(gradients[1], tensors[1].grad.numpy())


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_three_derivatives_are_finite_far_out(name):
    act, far = ACTIVATIONS[name], jnp.array([-1e4, -100, -20, -0.0, 0.0, 6, 20, 100, 1e4])

    @compiled
    def derivatives(x):
        orders = [act]
        for _ in range(3):
            orders.append(jax.grad(orders[-1]))
        return [jax.vmap(order)(x) for order in orders]

    value, first, *higher = derivatives(far)
    for derivative in (value, first, *higher):
        assert np.isfinite(derivative).all()
    for derivative in higher:
        np.testing.assert_array_equal(derivative[jnp.array([0, -1])], 0)
    np.testing.assert_allclose(first[-1], 0 if name in ("relu6", "sigmoid", "step", "tanh") else 1)
    np.testing.assert_allclose(first[0], {"identity": 1, "leaky_relu": 0.1}.get(name, 0))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_dtype_is_kept(dtype):
    with jax.enable_x64(dtype == "float64"):
        inputs = jnp.array([-2.5, -0.5, 0.75, 5.5], dtype), jnp.arange(4.0), jnp.float32(0.25)
        values = compiled(lambda *inputs: {name: f(*inputs) for name, f in operators(2).items()})(*inputs)
        expected = reference(*(np.asarray(array, np.float64) for array in inputs), 2)
        for name, value in values.items():
            assert value.dtype == dtype
            assert_close(value.astype("float32"), expected[name][0], 2**-7 if dtype == "bfloat16" else 1e-6)


def test_nan_is_not_hidden():
    inputs = np.array([np.nan, 1, 1, np.nan], np.float32), np.ones(4, np.float32), np.float32(0.1)
    for name, (value, *_) in measure(2)(inputs, inputs).items():
        if name != "step":  # which knows only two answers
            assert np.isnan(value).sum() == (4 if name == "crelu" else 2), name


@pytest.mark.parametrize("name", sorted(ACTIVATIONS.keys() - {"identity"}))
def test_a_jaxpr_names_it(name):
    found = names_in(jax.make_jaxpr(ACTIVATIONS[name])(1.0))
    assert ("logistic" if name == "sigmoid" else name) in found


def test_vmap_equals_plain():
    inputs = draw_inputs((5, 3, 4), 1.0, 0)

    @compiled
    def both(*inputs):
        each = operators(2).values()
        return [f(*inputs) for f in each], [jax.vmap(f, in_axes=(0, None, None))(*inputs) for f in each]

    plain, mapped = both(*inputs)
    assert_close(mapped, plain, 1e-6)


def test_step():
    np.testing.assert_array_equal(step(jnp.array([-2.0, -0.0, 0.0, 1e-9])), [-1, 1, 1, 1])


def test_gelu_tanh_is_within_5e_4_of_gelu():
    x = jnp.linspace(-8, 8, 4001)
    assert 4e-4 < jnp.abs(gelu(x) - gelu_tanh(x)).max() < 5e-4


def test_crelu_keeps_all_information():
    x = jnp.array([[-1.5, 2.0, 0.0]])
    positive, negative = jnp.split(crelu(x), 2, axis=-1)
    np.testing.assert_array_equal(crelu(x), [[0, 2, 0, 1.5, 0, 0]])
    np.testing.assert_array_equal(positive - negative, x)


def test_maxout_of_a_line_and_its_negative_is_the_absolute_value():
    x = jnp.array([-3.0, 0.0, 2.0])
    np.testing.assert_array_equal(maxout(jnp.stack([x, -x], axis=-1), 2)[:, 0], [3, 0, 2])


def test_maxout_gives_ties_to_the_first():
    gradient = jax.grad(lambda x: maxout(x, 3).sum())(jnp.array([1.0, 1, 0, 2, 2, 2]))
    np.testing.assert_array_equal(gradient, [1, 0, 0, 1, 0, 0])


@pytest.mark.parametrize("pieces", [0, 2, 4, -1])
def test_impossible_pieces(pieces):
    with pytest.raises(InputError, match=f"3 channels do not divide into groups of {pieces} pieces"):
        maxout(jnp.zeros((2, 3)), pieces)


@pytest.mark.parametrize("shape", [(2,), (1,), (2, 3)])
def test_impossible_slopes(shape):
    with pytest.raises(InputError, match=r"prelu: slope of shape .*, expected \[3\] or \[\]"):
        prelu(jnp.zeros((2, 3)), jnp.zeros(shape))
