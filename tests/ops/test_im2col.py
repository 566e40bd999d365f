import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops.im2col import col2im, convolve_as_matmul, im2col
from tests.ops.numerics import assert_close, assert_differentiates, compiled, values_and_gradients

SIZES, CHANNELS, FEATURES = (7, 6), 2, 3
GEOMETRIES = [
    (window, {"stride": stride, "padding": padding, "dilation": dilation})
    for window, stride, padding, dilation in itertools.product(
        [(2, 2), (3, 1)], [1, (3, 2)], [0, (1, 2)], [1, (1, 3), 2]
    )
]
draws = st.tuples(st.integers(0, len(GEOMETRIES) - 1), st.integers(0, 2**32 - 1))
many = settings(max_examples=300, deadline=None, derandomize=True)


def random_arrays(which, seed, batch=2):
    """Images, kernel and columns for one of GEOMETRIES."""
    height, width = GEOMETRIES[which][0]
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(batch, *SIZES, CHANNELS)).astype(np.float32)
    kernel = rng.normal(size=(height, width, CHANNELS, FEATURES)).astype(np.float32)
    return images, kernel, rng.normal(size=(batch, *columns_shape(which))).astype(np.float32)


@functools.cache
def columns_shape(which):
    window, options = GEOMETRIES[which]
    return lax_patches(jnp.zeros((1, *SIZES, CHANNELS)), window, options).shape[1:]


def pads_of(options):
    vertical, horizontal = np.broadcast_to(options["padding"], 2)
    return (int(vertical),) * 2, (int(horizontal),) * 2


def pair(option):
    return tuple(int(value) for value in np.broadcast_to(option, 2))


def lax_patches(images, window, options):
    """In the order (channel, row, column), which is made ours."""
    patches = jax.lax.conv_general_dilated_patches(
        images,
        window,
        pair(options["stride"]),
        pads_of(options),
        rhs_dilation=pair(options["dilation"]),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    split = patches.reshape(*patches.shape[:3], images.shape[3], window[0] * window[1])
    return split.swapaxes(3, 4).reshape(patches.shape)


def lax_convolution(images, kernel, options):
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        pair(options["stride"]),
        pads_of(options),
        rhs_dilation=pair(options["dilation"]),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@functools.cache
def ours(which):
    window, options = GEOMETRIES[which]
    return compiled(
        lambda images, kernel, columns: (
            values_and_gradients(lambda images: im2col(images, window, **options), images),
            values_and_gradients(lambda columns: col2im(columns, SIZES, window, **options), columns),
            values_and_gradients(lambda *arrays: convolve_as_matmul(*arrays, **options), images, kernel),
        )
    )


@functools.cache
def references(which):
    window, options = GEOMETRIES[which]

    def transposed(columns):
        images = jax.ShapeDtypeStruct((len(columns), *SIZES, CHANNELS), columns.dtype)
        return jax.linear_transpose(lambda images: lax_patches(images, window, options), images)(columns)[0]

    return compiled(
        lambda images, kernel, columns: (
            values_and_gradients(lambda images: lax_patches(images, window, options), images),
            values_and_gradients(transposed, columns),
            values_and_gradients(lambda *arrays: lax_convolution(*arrays, options), images, kernel),
        )
    )


@many
@given(draws)
def test_equal_to_lax(draw):
    which, seed = draw
    arrays = random_arrays(which, seed)
    assert_close(ours(which)(*arrays), references(which)(*arrays))


@pytest.mark.parametrize("which", range(len(GEOMETRIES)))
def test_differentiate(which):
    window, options = GEOMETRIES[which]

    def all_three(images, kernel, columns):
        return jnp.concatenate(
            [
                im2col(images, window, **options).ravel(),
                col2im(columns, SIZES, window, **options).ravel(),
                convolve_as_matmul(images, kernel, **options).ravel(),
            ]
        )

    draws = [random_arrays(which, seed, batch=1) for seed in range(13)]  # of 24 geometries
    assert_differentiates(jax.vmap(all_three), *(np.stack(arrays) for arrays in zip(*draws)))


def test_order_is_row_column_channel():
    images = jnp.arange(18.0).reshape(1, 3, 3, 2)
    np.testing.assert_array_equal(im2col(images, 2)[0, 1, 0], [6, 7, 8, 9, 12, 13, 14, 15])


def test_col2im_counts_the_windows_over_each_pixel():
    counts = col2im(im2col(jnp.ones((1, 4, 4, 1)), 3), (4, 4), 3)[0, :, :, 0]
    np.testing.assert_array_equal(counts, np.outer([1, 2, 2, 1], [1, 2, 2, 1]))


def test_bfloat16_sums_in_float32():
    columns = jax.random.normal(jax.random.key(0), (1, 4, 4, 9)).astype(jnp.bfloat16)
    summed = col2im(columns, (6, 6), 3)
    assert summed.dtype == jnp.bfloat16
    exact = col2im(columns.astype(jnp.float32), (6, 6), 3)
    np.testing.assert_array_equal(summed, exact.astype(jnp.bfloat16))
    ones = [jnp.ones(shape, jnp.bfloat16) for shape in ((1, 4, 4, 64), (3, 3, 64, 1))]
    np.testing.assert_array_equal(convolve_as_matmul(*ones), jnp.full((1, 2, 2, 1), 576, jnp.bfloat16))
    assert im2col(ones[0], 3).dtype == jnp.bfloat16


def test_vmap():
    images = np.random.default_rng(0).normal(size=(3, 2, 5, 5, 2)).astype(np.float32)
    columns = jax.vmap(lambda images: im2col(images, 3, padding=1))(images)
    assert_close(columns, jnp.stack([im2col(image, 3, padding=1) for image in images]))
    summed = jax.vmap(lambda columns: col2im(columns, (5, 5), 3, padding=1))(columns)
    assert_close(summed, jnp.stack([col2im(column, (5, 5), 3, padding=1) for column in columns]))


def test_impossible_input():
    with pytest.raises(InputError, match=r"images of shape \[5, 5, 1\], expected \[B, H, W, C\]"):
        im2col(jnp.zeros((5, 5, 1)), 3)
    with pytest.raises(InputError, match="size 5 doesn't fit window 6"):
        im2col(jnp.zeros((1, 5, 5, 1)), 6)
    with pytest.raises(
        InputError, match=r"columns of shape \[1, 3, 3, 8\], expected \[B, 3, 3, 9 C\] for images of 5x5"
    ):
        col2im(jnp.zeros((1, 3, 3, 8)), (5, 5), 3)
    with pytest.raises(InputError, match=r"kernel of shape \[3, 3, 2, 4\], expected \[h, w, 1, O\]"):
        convolve_as_matmul(jnp.zeros((1, 5, 5, 1)), jnp.zeros((3, 3, 2, 4)))


@pytest.mark.parity
@many
@given(draws)
def test_equal_to_torch(draw):
    import torch

    which, seed = draw
    window, options = GEOMETRIES[which]
    images, kernel, columns = random_arrays(which, seed)

    def theirs(function, *arrays):
        arrays = [torch.tensor(array, requires_grad=True) for array in arrays]
        out = function(*arrays)
        weights = torch.cos(torch.arange(out.numel(), dtype=out.dtype)).reshape(out.shape)
        (weights * out).sum().backward()
        return out.detach().numpy(), tuple(array.grad.numpy() for array in arrays)

    def unfold(images):
        patches = torch.nn.functional.unfold(images.permute(0, 3, 1, 2), window, **options)
        split = patches.reshape(len(images), CHANNELS, window[0] * window[1], *columns.shape[1:3])
        return split.permute(0, 3, 4, 2, 1).reshape(columns.shape)

    def fold(columns):
        split = columns.reshape(len(columns), -1, window[0] * window[1], CHANNELS)
        patches = split.permute(0, 3, 2, 1).reshape(len(columns), CHANNELS * window[0] * window[1], -1)
        return torch.nn.functional.fold(patches, SIZES, window, **options).permute(0, 2, 3, 1)

    def convolve(images, kernel):
        out = torch.conv2d(images.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), **options)
        return out.permute(0, 2, 3, 1)

    expected = theirs(unfold, images), theirs(fold, columns), theirs(convolve, images, kernel)
    assert_close(ours(which)(images, kernel, columns), expected)
