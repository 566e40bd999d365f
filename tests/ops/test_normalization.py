import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops.normalization import (
    batch_norm,
    batch_statistics,
    group_norm,
    layer_norm,
    local_response_norm,
)
from tests.ops.numerics import assert_close, assert_differentiates, compiled, values_and_gradients

SHAPES = [(1, 4, 5, 4), (3, 2, 3, 4), (2, 3, 4, 8), (4, 3, 2, 12)]
LRN = {"size": 3, "alpha": 0.1, "beta": 0.75, "k": 1.5}


def train_norm(x, scale, bias):
    return batch_norm(x, *batch_statistics(x)[:2], scale, bias, epsilon=1e-2)


OPERATORS = {
    "batch_norm": train_norm,
    "layer_norm": layer_norm,
    "group_norm": lambda x, scale, bias: group_norm(x, scale, bias, groups=2),
    "local_response_norm": lambda x, scale, bias: scale * local_response_norm(x, **LRN) + bias,
}


def standardised(x, axes, epsilon):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def group_reference(x, groups, epsilon):
    grouped = x.reshape(*x.shape[:-1], groups, -1)
    return standardised(grouped, (1, 2, 4), epsilon).reshape(x.shape)


def lrn_reference(x, size, alpha, beta, k):
    """Krizhevsky et al. 2012, 3.3, channel by channel."""
    out, channels = np.empty_like(x), x.shape[-1]
    for i in range(channels):
        around = x[..., max(0, i - size // 2) : min(channels, i + (size - 1) // 2 + 1)]
        out[..., i] = x[..., i] / (k + alpha * (around**2).sum(-1)) ** beta
    return out


REFERENCES = {
    "batch_norm": lambda x: standardised(x, (0, 1, 2), 1e-2),
    "layer_norm": lambda x: standardised(x, (3,), 1e-6),
    "group_norm": lambda x: group_reference(x, 2, 1e-5),
    "local_response_norm": lambda x: lrn_reference(x, **LRN),
}


def draw(shape, seed):
    rng = np.random.default_rng(seed)
    offset, spread = rng.uniform(-3, 3), rng.uniform(0.5, 2)
    x = offset + spread * rng.normal(size=shape)
    return x, rng.uniform(0.5, 2, shape[-1]), rng.normal(size=shape[-1])


everything = compiled(
    lambda x, scale, bias: {name: f(x, *_fit(x, name, scale, bias)) for name, f in OPERATORS.items()}
)


def _fit(x, name, scale, bias):
    if name != "local_response_norm":
        return scale, bias
    return (jnp.broadcast_to(vector, x.shape) for vector in (scale, bias))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(SHAPES), st.integers(0, 2**32 - 1))
def test_values(shape, seed):
    x, scale, bias = draw(shape, seed)
    ours = everything(*(np.float32(array) for array in (x, scale, bias)))
    for name, reference in REFERENCES.items():
        assert_close(ours[name], scale * reference(x) + bias)


STACKED = 100


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_derivatives(name, shape):
    """A hundred draws at once for each shape: compiling takes the time."""
    draws = [draw(shape, seed) for seed in range(STACKED)]
    x, scale, bias = (np.stack(arrays) for arrays in zip(*draws))

    def operator(x, scale, bias):
        return OPERATORS[name](x, *_fit(x, name, scale, bias))

    assert_differentiates(jax.vmap(operator), x, scale, bias)


def test_statistics_by_hand():
    x = jnp.array([[1.0, 10.0], [3.0, 10.0], [5.0, 40.0]])
    mean, variance, count = batch_statistics(x)
    np.testing.assert_allclose(mean, [3, 20], rtol=1e-6)
    np.testing.assert_allclose(variance, [8 / 3, 200], rtol=1e-5)
    assert count == 3


def test_masked_rows_do_not_count_nor_get_a_gradient():
    x, scale, bias = (np.float32(array) for array in draw((3, 2, 3, 4), 0))
    padded = np.concatenate([x, np.full((2, 2, 3, 4), 1e3, np.float32)])
    mask = np.array([1, 1, 1, 0, 0])

    def on_padded(padded):
        mean, variance, _ = batch_statistics(padded, mask=mask)
        return jnp.where(mask.reshape(-1, 1, 1, 1) == 1, batch_norm(padded, mean, variance, scale, bias), 0)[:3]

    def on_real(x):
        return batch_norm(x, *batch_statistics(x)[:2], scale, bias)

    (value, (gradient,)), expected = values_and_gradients(on_padded, padded), values_and_gradients(on_real, x)
    assert_close((value, (gradient[:3],)), expected)
    np.testing.assert_array_equal(gradient[3:], 0)


def test_nothing_but_padding():
    mean, variance, count = batch_statistics(jnp.ones((2, 3)), mask=jnp.zeros(2))
    np.testing.assert_array_equal(jnp.stack([mean, variance]), 0)
    assert count == 0


@pytest.mark.parametrize("mask", [None, np.array([[1, 1], [1, 0]])])
def test_statistics_of_two_devices_are_those_of_the_whole_batch(mask):
    """Unequal parts too: values and gradients."""
    x = np.float32(draw((4, 3, 2, 12), 1)[0])
    whole_mask = None if mask is None else mask.reshape(-1)
    cotangent = np.cos(np.arange(24, dtype=np.float32)).reshape(2, 12)

    def weighed(x):
        mean, variance, _ = batch_statistics(x, mask=whole_mask)
        return jnp.sum(cotangent * jnp.stack([mean, variance]))

    def per_device(part, mask):
        def weighed(part):
            mean, variance, _ = batch_statistics(part, mask=mask, axis_name="devices")
            return (
                jnp.sum(cotangent * jnp.stack([mean, variance])) / 2
            )  # both devices hold it, and gradients add up

        return *batch_statistics(part, mask=mask, axis_name="devices"), jax.grad(weighed)(part)

    in_axes = (0, None if mask is None else 0)
    *statistics, gradient = jax.vmap(per_device, in_axes, axis_name="devices")(x.reshape(2, 2, 3, 2, 12), mask)
    for ours, expected in zip(statistics, batch_statistics(x, mask=whole_mask)):
        np.testing.assert_allclose(ours[0], ours[1])
        np.testing.assert_allclose(ours[0], expected, rtol=1e-5)
    np.testing.assert_allclose(gradient.reshape(x.shape), jax.grad(weighed)(x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mean", [1e3, 1e4])
def test_statistics_far_from_zero(mean):
    """As exact as values around 1e4 can be: float32 keeps their deviations to 1e-3 / 2."""
    x = np.float32(mean + np.random.default_rng(0).normal(size=(64, 3, 4)))
    found = batch_statistics(jnp.asarray(x))
    np.testing.assert_allclose(found[0], x.mean((0, 1), np.float64), rtol=1e-6)
    np.testing.assert_allclose(found[1], x.var((0, 1), np.float64), rtol=1e-5)


def test_variance_is_never_negative():
    x = np.float32(1000 + 1e-2 * np.random.default_rng(0).normal(size=(64, 5, 5, 3)))
    assert (batch_statistics(x)[1] >= 0).all()
    assert np.isfinite(jax.grad(lambda x: batch_statistics(x)[1].sum())(x)).all()


@pytest.mark.parametrize("name", OPERATORS)
def test_bfloat16_is_rounded_once(name):
    x, scale, bias = (np.float32(array) for array in draw((3, 2, 3, 4), 2))
    half = jnp.bfloat16(x)
    ours = OPERATORS[name](half, *_fit(half, name, scale, bias))
    exact = OPERATORS[name](np.float32(half), *_fit(half, name, scale, bias))
    assert ours.dtype == (
        jnp.float32 if name == "local_response_norm" else jnp.bfloat16
    )  # its scale is not part of it
    np.testing.assert_allclose(np.float32(ours), exact, rtol=2**-7, atol=2**-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: batch_statistics(jnp.ones(3)), r"expected \[B, \.\.\., C\]"),
        (lambda: batch_statistics(jnp.ones((2, 3)), mask=jnp.ones(3)), r"mask of shape \[3\], expected \[2\]"),
        (lambda: group_norm(jnp.ones((2, 6)), jnp.ones(6), jnp.ones(6), groups=4), "4 groups do not divide 6"),
        (lambda: local_response_norm(jnp.ones((2, 6)), size=0), "size of 0 channels"),
    ],
)
def test_impossible_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parity
def test_torch():
    import torch

    functional = torch.nn.functional
    theirs = {
        "batch_norm": lambda x, s, b: functional.batch_norm(x, None, None, s, b, training=True, eps=1e-2),
        "layer_norm": lambda x, s, b: functional.layer_norm(x.movedim(1, -1), s.shape, s, b, 1e-6).movedim(-1, 1),
        "group_norm": lambda x, s, b: functional.group_norm(x, 2, s, b, 1e-5),
        "local_response_norm": lambda x, s, b: (
            s[:, None, None]
            * functional.local_response_norm(x, 3, alpha=3 * LRN["alpha"], beta=LRN["beta"], k=LRN["k"])
            + b[:, None, None]
        ),
    }

    @compiled
    def ours(x, scale, bias):
        return {
            name: values_and_gradients(lambda x, s, b, name=name, f=f: f(x, *_fit(x, name, s, b)), x, scale, bias)
            for name, f in OPERATORS.items()
        }

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.sampled_from(SHAPES), st.integers(0, 2**32 - 1))
    def check(shape, seed):
        arrays = [np.float32(array) for array in draw(shape, seed)]
        measured = ours(*arrays)
        weights = np.cos(np.arange(arrays[0].size, dtype=np.float32)).reshape(shape)
        for name, function in theirs.items():
            x, scale, bias = (torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in arrays)
            value = function(x.movedim(-1, 1), scale, bias).movedim(1, -1)
            (value * torch.tensor(weights)).sum().backward()
            reference = value.detach().numpy(), tuple(array.grad.numpy() for array in (x, scale, bias))
            if min(np.abs(gradient).max() for gradient in reference[1]) > 1e-3:  # else nothing but rounding
                assert_close(measured[name], reference, 5e-5)

    check()
