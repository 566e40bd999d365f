import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops.pooling import max_pool, max_pool_with_switches
from jaxvision.ops.unpooling import max_unpool
from tests.ops.numerics import STEP, assert_close, compiled

SHAPES = [  # of values, of the plane
    ((2, 2, 3, 3), (4, 6)),
    ((1, 3, 3, 2), (7, 7)),
    ((3, 1, 4, 1), (2, 5)),
    ((2, 2, 2, 2), (2, 2)),
]
many = settings(max_examples=300, deadline=None, derandomize=True)
draws = given(st.sampled_from(SHAPES), st.integers(0, 2**32 - 1))


@functools.cache
def compiled_unpool(size):
    """(values, switches, cotangent) -> (output, gradient)."""

    def run(values, switches, cotangent):
        output, pullback = jax.vjp(lambda values: max_unpool(values, switches, size), values)
        return output, *pullback(cotangent)

    return compiled(run)


def draw_arrays(shape, size, seed, *, dtype=np.float32):
    """Values, switches without repetition, cotangent."""
    rng = np.random.default_rng(seed)
    batch, height, width, channels = shape
    planes = np.tile(np.arange(size[0] * size[1]).reshape(1, -1, 1), (batch, 1, channels))
    switches = rng.permuted(planes, axis=1)[:, : height * width].reshape(shape).astype(np.int32)
    return rng.normal(size=shape).astype(dtype), switches, rng.normal(size=(batch, *size, channels)).astype(dtype)


def flat(array):
    return array.reshape(array.shape[0], -1, array.shape[3])


@many
@draws
def test_values_go_where_switches_say(shapes, seed):
    values, switches, cotangent = draw_arrays(*shapes, seed)
    expected = np.zeros_like(cotangent)
    np.put_along_axis(flat(expected), flat(switches), flat(values), 1)
    gradient = np.take_along_axis(flat(cotangent), flat(switches), 1).reshape(values.shape)
    assert_close(compiled_unpool(shapes[1])(values, switches, cotangent), (expected, gradient))


@many
@draws
def test_gradient_is_a_central_difference(shapes, seed):
    values, switches, cotangent = draw_arrays(*shapes, seed, dtype=np.float64)
    direction = np.random.default_rng(seed + 1).normal(size=values.shape)
    points = (values, values + STEP * direction, values - STEP * direction)
    with jax.enable_x64(True):
        here, ahead, behind = jax.device_get(
            [compiled_unpool(shapes[1])(point, switches, cotangent) for point in points]
        )
    difference = np.vdot(cotangent, ahead[0] - behind[0]) / (2 * STEP)
    assert_close(np.vdot(here[1], direction), difference, 1e-6)


@pytest.mark.parametrize("window", [2, 3])
def test_unpooling_what_was_pooled(window):
    """Maxima are back in their places, whatever else was there is zero, and pooling again finds them."""
    images = np.random.default_rng(0).normal(5, 1, (2, 6, 6, 3)).astype(np.float32)
    values, switches = max_pool_with_switches(images, window)
    back = max_unpool(values, switches, (6, 6))
    np.testing.assert_array_equal(back, np.where(back != 0, images, 0))
    np.testing.assert_array_equal((np.asarray(back) != 0).sum((1, 2)), (6 // window) ** 2)
    np.testing.assert_array_equal(max_pool(back, window), values)


def test_one_of_several_values_is_written_and_has_the_gradient():
    values = jnp.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    switches = jnp.array([2, 2, 0]).reshape(1, 1, 3, 1)
    output, pullback = jax.vjp(lambda values: max_unpool(values, switches, (1, 3)), values)
    written = float(output[0, 0, 2, 0])
    assert written in (1, 2) and float(output[0, 0, 0, 0]) == 3
    (gradient,) = pullback(jnp.array([5.0, 6.0, 7.0]).reshape(1, 1, 3, 1))
    np.testing.assert_array_equal(gradient.reshape(-1), [7 * (written == 1), 7 * (written == 2), 5])


def test_under_vmap_and_bfloat16():
    values, switches, _ = draw_arrays(*SHAPES[0], 0)
    unpool = functools.partial(max_unpool, size=(4, 6))
    np.testing.assert_array_equal(jax.vmap(unpool)(values[None], switches[None])[0], unpool(values, switches))
    assert unpool(values.astype(jnp.bfloat16), switches).dtype == jnp.bfloat16


def test_shapes_that_differ():
    with pytest.raises(InputError, match=r"values of shape \[1, 2, 2, 1\] and switches of shape \[1, 2, 3, 1\]"):
        max_unpool(jnp.zeros((1, 2, 2, 1)), jnp.zeros((1, 2, 3, 1), int), (4, 4))


@pytest.mark.parity
@many
@draws
def test_values_and_gradients_are_those_of_torch(shapes, seed):
    import torch

    values, switches, cotangent = draw_arrays(*shapes, seed)
    leaf, indices, weights = (
        torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
        for array in (values, switches, cotangent)
    )
    leaf.requires_grad_()
    # The window says nothing where the output size is given, but torch wants the two to agree.
    height, width = (out - n + 1 for out, n in zip(shapes[1], values.shape[1:3]))
    output = torch.nn.functional.max_unpool2d(
        leaf, indices.long(), (height, width), stride=1, output_size=list(shapes[1])
    )
    (gradient,) = torch.autograd.grad(output, leaf, weights)
    expected = [tensor.detach().numpy().transpose(0, 2, 3, 1) for tensor in (output, gradient)]
    assert_close(list(compiled_unpool(shapes[1])(values, switches, cotangent)), expected)
