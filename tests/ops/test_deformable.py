import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxvision.errors import InputError
from jaxvision.ops.deformable import bilinear_sample, deformable_conv2d
from jaxvision.ops.output_size import output_sizes
from tests.ops.numerics import KINK_DISTANCE, assert_close, assert_differentiates, compiled, values_and_gradients

BATCH, CHANNELS, FEATURES = 2, 4, 4


class Geometry(NamedTuple):
    size: tuple[int, int] = (4, 5)
    window: tuple[int, int] = (2, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    offset_groups: int = 1
    with_mask: bool = True

    @property
    def options(self):
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    @property
    def out_size(self):
        return output_sizes(self.size, self.window, **self.options)


GEOMETRIES = [
    Geometry(),
    Geometry(with_mask=False),
    Geometry(window=(1, 1), groups=4, offset_groups=2),
    Geometry(window=(3, 3), padding=(1, 1)),
    Geometry(window=(3, 3), padding=(2, 1), dilation=(2, 1), offset_groups=4),
    Geometry(size=(5, 4), stride=(2, 1), padding=(1, 0), groups=2, with_mask=False),
    Geometry(size=(5, 6), window=(2, 2), stride=(2, 3), padding=(0, 1), groups=2, offset_groups=2),
    Geometry(size=(4, 6), window=(1, 3), dilation=(1, 2), padding=(0, 2), offset_groups=2, with_mask=False),
    Geometry(size=(6, 3), window=(3, 2), stride=(1, 2), dilation=(2, 2), padding=(1, 1), groups=4),
    Geometry(size=(3, 3), window=(3, 3), offset_groups=2, groups=2),
]
draws = st.tuples(st.sampled_from(GEOMETRIES), st.integers(0, 2**32 - 1))
many = settings(max_examples=300, deadline=None, derandomize=True)


def random_arrays(geometry, seed):
    """(images, kernel, offsets) or (images, kernel, offsets, mask); no offset is near a whole number."""
    rng = np.random.default_rng(seed)
    taps = geometry.offset_groups * geometry.window[0] * geometry.window[1]
    out_shape = (BATCH, *geometry.out_size)
    images = rng.normal(size=(BATCH, *geometry.size, CHANNELS))
    kernel = rng.normal(size=(*geometry.window, CHANNELS // geometry.groups, FEATURES))
    offsets = rng.integers(-3, 3, (*out_shape, taps * 2)) + rng.uniform(
        2 * KINK_DISTANCE, 1 - 2 * KINK_DISTANCE, (*out_shape, taps * 2)
    )
    arrays = (images, kernel, offsets) + (rng.random((*out_shape, taps)),) * geometry.with_mask
    return [array.astype(np.float32) for array in arrays]


def convolve(geometry, images, kernel, offsets, mask=None):
    groups = {"groups": geometry.groups, "offset_groups": geometry.offset_groups}
    return deformable_conv2d(images, kernel, offsets, mask=mask, **groups, **geometry.options)


@functools.cache
def ours(geometry):
    return compiled(functools.partial(values_and_gradients, functools.partial(convolve, geometry)))


def corners(y, x, size):
    """Of the pixels around (y, x) in the image: (place, weight, derivative of the weight by y and by x)."""
    top, left = int(np.floor(y)), int(np.floor(x))
    for row, column in itertools.product((top, top + 1), (left, left + 1)):
        if 0 <= row < size[0] and 0 <= column < size[1]:
            near_y, near_x = 1 - abs(y - row), 1 - abs(x - column)
            yield (
                (row, column),
                near_y * near_x,
                (1 if row > top else -1) * near_x,
                (1 if column > left else -1) * near_y,
            )


def loops(geometry, images, kernel, offsets, mask=None):
    """What `values_and_gradients` gives for `convolve`, one tap at a time, in float64."""
    images, kernel, offsets = (np.asarray(array, np.float64) for array in (images, kernel, offsets))
    taps = geometry.window[0] * geometry.window[1]
    weights = np.ones((*offsets.shape[:3], offsets.shape[3] // 2)) if mask is None else np.asarray(mask, np.float64)
    out = np.zeros((BATCH, *geometry.out_size, FEATURES))
    cotangents = np.cos(np.arange(out.size)).reshape(out.shape)
    by_images, by_kernel, by_offsets, by_mask = (np.zeros_like(a) for a in (images, kernel, offsets, weights))
    inputs = np.split(np.arange(CHANNELS), geometry.groups)
    outputs = np.split(np.arange(FEATURES), geometry.groups)
    places = itertools.product(range(BATCH), *map(range, geometry.out_size), *map(range, geometry.window))
    for b, p, q, i, j in places:
        column, by_column = np.zeros(CHANNELS), np.zeros(CHANNELS)
        for c, o in zip(inputs, outputs):
            by_column[c] = kernel[i, j][:, o] @ cotangents[b, p, q, o]
        for g, c in enumerate(np.split(np.arange(CHANNELS), geometry.offset_groups)):
            tap = g * taps + i * geometry.window[1] + j
            y = p * geometry.stride[0] - geometry.padding[0] + i * geometry.dilation[0] + offsets[b, p, q, 2 * tap]
            x = (
                q * geometry.stride[1]
                - geometry.padding[1]
                + j * geometry.dilation[1]
                + offsets[b, p, q, 2 * tap + 1]
            )
            for (row, col), weight, by_y, by_x in corners(y, x, geometry.size):
                pixel, m = images[b, row, col, c], weights[b, p, q, tap]
                column[c] += m * weight * pixel
                by_images[b, row, col, c] += m * weight * by_column[c]
                by_offsets[b, p, q, 2 * tap : 2 * tap + 2] += m * (pixel @ by_column[c]) * np.array([by_y, by_x])
                by_mask[b, p, q, tap] += weight * (pixel @ by_column[c])
        for c, o in zip(inputs, outputs):
            out[b, p, q, o] += column[c] @ kernel[i, j][:, o]
            by_kernel[i, j][:, o] += np.outer(column[c], cotangents[b, p, q, o])
    return out, (by_images, by_kernel, by_offsets) + (by_mask,) * (mask is not None)


@many
@given(draws)
def test_equal_to_loops(draw):
    geometry, seed = draw
    arrays = random_arrays(geometry, seed)
    assert_close(ours(geometry)(*arrays), loops(geometry, *arrays))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_differentiates(geometry):
    draws = [random_arrays(geometry, seed) for seed in range(30)]
    function = jax.vmap(functools.partial(convolve, geometry))
    assert_differentiates(function, *(np.stack(arrays) for arrays in zip(*draws)))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_zero_offsets_are_a_plain_convolution(geometry):
    images, kernel, offsets, *mask = random_arrays(geometry, 0)

    def plain(images, kernel):
        return jax.lax.conv_general_dilated(
            images,
            kernel,
            geometry.stride,
            [(pixels, pixels) for pixels in geometry.padding],
            rhs_dilation=geometry.dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=geometry.groups,
        )

    value, gradients = ours(geometry)(images, kernel, 0 * offsets, *(np.ones_like(m) for m in mask))
    assert_close((value, gradients[:2]), compiled(functools.partial(values_and_gradients, plain))(images, kernel))


def test_offsets_are_y_before_x():
    images = jnp.arange(12.0).reshape(1, 3, 4, 1)
    offsets = jnp.zeros((1, 3, 4, 2)).at[..., 0].set(1)
    moved = deformable_conv2d(images, jnp.ones((1, 1, 1, 1)), offsets)
    np.testing.assert_array_equal(moved[0, :, :, 0], [[4, 5, 6, 7], [8, 9, 10, 11], [0, 0, 0, 0]])


def test_each_member_of_a_population_has_its_own_offsets():
    arrays = [np.stack(pair) for pair in zip(*(random_arrays(GEOMETRIES[0], seed) for seed in range(2)))]
    function = functools.partial(convolve, GEOMETRIES[0])
    assert_close(jax.vmap(function)(*arrays), jnp.stack([function(*member) for member in zip(*arrays)]))


def test_bfloat16():
    images, kernel, offsets, mask = random_arrays(GEOMETRIES[3], 0)
    low = [jnp.asarray(array, jnp.bfloat16) for array in (images, kernel, offsets, mask)]
    value, gradients = jax.jit(functools.partial(values_and_gradients, functools.partial(convolve, GEOMETRIES[3])))(
        *low
    )
    assert {array.dtype for array in (value, *gradients)} == {jnp.dtype(jnp.bfloat16)}
    rounded = [np.asarray(array, np.float32) for array in low]
    assert_close(np.asarray(value, np.float32), ours(GEOMETRIES[3])(*rounded)[0], 2e-2)


@functools.cache
def sample_and_gradients(shape):
    return compiled(functools.partial(values_and_gradients, bilinear_sample))


points = st.tuples(st.sampled_from([(3, 4), (1, 5), (4, 1)]), st.integers(0, 2**32 - 1))


def random_points(size, seed):
    """images [2, *size, 2] and points [2, 3, 2, 2] in and around them, not near whole numbers."""
    rng = np.random.default_rng(seed)
    whole = np.stack([rng.integers(-3, n + 2, (2, 3, 2)) for n in size], axis=-1)
    parts = rng.uniform(2 * KINK_DISTANCE, 1 - 2 * KINK_DISTANCE, (2, 3, 2, 2))
    return rng.normal(size=(2, *size, 2)).astype(np.float32), (whole + parts).astype(np.float32)


@many
@given(points)
def test_samples_are_those_of_scipy_and_of_loops(draw):
    size, seed = draw
    images, at = random_points(size, seed)
    value, gradients = sample_and_gradients(size)(images, at)
    cotangents = np.cos(np.arange(value.size)).reshape(value.shape)
    expected, by_images, by_points = np.zeros(value.shape), np.zeros(images.shape), np.zeros(at.shape)
    for b, channel in itertools.product(range(2), range(2)):
        coordinates = np.moveaxis(at[b].astype(np.float64), -1, 0)
        image = images[b, :, :, channel].astype(np.float64)
        expected[b, ..., channel] = ndimage.map_coordinates(image, coordinates, order=1, mode="grid-constant")
    for b, *place in np.ndindex(at.shape[:-1]):
        y, x = at[b, *place].astype(np.float64)
        for pixel, weight, by_y, by_x in corners(y, x, size):
            by_images[b, *pixel] += weight * cotangents[b, *place]
            by_points[b, *place] += np.array([by_y, by_x]) * (images[b, *pixel] @ cotangents[b, *place])
    assert_close((value, gradients), (expected, (by_images, by_points)))


@pytest.mark.parametrize("size", [(3, 4), (1, 5), (4, 1)])
def test_sampling_differentiates(size):
    draws = [random_points(size, seed) for seed in range(100)]
    assert_differentiates(jax.vmap(bilinear_sample), *(np.stack(arrays) for arrays in zip(*draws)))


def test_samples_at_pixels_and_between_them():
    image = jnp.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
    at = jnp.array([[[0, 0], [1, 1], [0.5, 0.5], [0.25, 1], [-0.5, 0], [1.5, 1.5], [2, 0], [-1, -1], [0, 9e9]]])
    np.testing.assert_allclose(bilinear_sample(image, at)[0, :, 0], [1, 4, 2.5, 2.5, 0.5, 1, 0, 0, 0])
    np.testing.assert_allclose(bilinear_sample(image, at[:, 2]), [[2.5]])
    assert bilinear_sample(image[:0], at[:0]).shape == (0, 9, 1)


def test_derivative_at_a_pixel_is_the_one_towards_the_next():
    ramp = jnp.array([0.0, 1, 10]).reshape(1, 1, 3, 1)
    by_points = jax.grad(lambda at: bilinear_sample(ramp, at).sum())(jnp.array([[[0.0, 1], [0, 2], [0, 1e9]]]))
    np.testing.assert_array_equal(by_points[0, :, 1], [9, -10, 0])


def test_points_that_are_not_numbers_are_seen():
    at = jnp.array([[[jnp.nan, 0.0], [0, 0]]])
    np.testing.assert_array_equal(jnp.isnan(bilinear_sample(jnp.ones((1, 2, 2, 1)), at))[0, :, 0], [True, False])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": (4, 5, 4)}, r"images of shape \[4, 5, 4\]"),
        ({"kernel": (2, 3, 3, 4)}, r"kernel of shape \[2, 3, 3, 4\], expected"),
        ({"groups": 3}, "with 3 groups that divide C and O"),
        ({"offset_groups": 3}, "offset_groups: 3 does not divide 4 channels"),
        ({"offset_groups": 0}, "offset_groups: 0 does not divide 4 channels"),
        ({"offsets": (1, 3, 3, 6)}, r"offsets of shape \[1, 3, 3, 6\], expected \[1, 3, 3, 12\]"),
        ({"mask": (1, 3, 3, 12)}, r"mask of shape \[1, 3, 3, 12\], expected \[1, 3, 3, 6\]"),
        ({"kernel": (5, 5, 4, 4)}, "size 4 doesn't fit window 5"),
    ],
)
def test_impossible_shapes(changed, message):
    arguments = {
        "images": (1, 4, 5, 4),
        "kernel": (2, 3, 4, 4),
        "offsets": (1, 3, 3, 12),
        "mask": (1, 3, 3, 6),
        **changed,
    }
    arguments = {name: jnp.zeros(shape) if isinstance(shape, tuple) else shape for name, shape in arguments.items()}
    with pytest.raises(InputError, match=message):
        deformable_conv2d(**arguments)


def test_impossible_points():
    with pytest.raises(InputError, match=r"points of shape \[3, 2\], expected \[B, H, W, C\] and \[B, ..., 2\]"):
        bilinear_sample(jnp.zeros((1, 4, 4, 1)), jnp.zeros((3, 2)))


def torch_values_and_gradients(function, *arrays):
    import torch

    arrays = [torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in arrays]
    out = function(*arrays)
    (torch.cos(torch.arange(out.numel(), dtype=out.dtype)).reshape(out.shape) * out).sum().backward()
    return out.detach().numpy(), tuple(array.grad.numpy() for array in arrays)


def grid_sample(images, points):
    """torch's bilinear sampling, channels last: images [B, H, W, C], points [B, h, w, 2]."""
    import torch

    height, width = images.shape[1:3]
    scale = torch.tensor([2 / (width - 1), 2 / (height - 1)], dtype=points.dtype)
    grid = points.flip(-1) * scale - 1
    sampled = torch.nn.functional.grid_sample(images.permute(0, 3, 1, 2), grid, align_corners=True)
    return sampled.permute(0, 2, 3, 1)


@pytest.mark.parity
@many
@given(st.tuples(st.sampled_from([(3, 4), (2, 5)]), st.integers(0, 2**32 - 1)))
def test_samples_are_those_of_torch(draw):
    size, seed = draw
    arrays = random_points(size, seed)
    assert_close(sample_and_gradients(size)(*arrays), torch_values_and_gradients(grid_sample, *arrays))


@pytest.mark.parity
@many
@given(draws)
def test_equal_to_torch(draw):
    """torchvision's operator is compiled code that its CPU wheel may lack: here it is made of torch's own."""
    import torch

    geometry, seed = draw
    arrays = random_arrays(geometry, seed)

    def theirs(images, kernel, offsets, mask=None):
        places, taps = geometry.out_size, geometry.window[0] * geometry.window[1]
        split = offsets.reshape(BATCH, *places, geometry.offset_groups, *geometry.window, 2)
        axes = zip(places, geometry.window, geometry.stride, geometry.padding, geometry.dilation)
        rows, columns = (torch.arange(n)[:, None] * s - p + torch.arange(f)[None] * d for n, f, s, p, d in axes)
        y = rows[None, :, None, None, :, None] + split[..., 0]
        x = columns[None, None, :, None, None, :] + split[..., 1]
        points = torch.stack((y, x), -1).reshape(BATCH, -1, geometry.offset_groups, taps, 2)
        sampled = torch.stack(
            [
                grid_sample(group, points[:, :, g])
                for g, group in enumerate(images.split(CHANNELS // geometry.offset_groups, dim=3))
            ],
            dim=3,
        )  # [B, H'W', taps, offset group, channel]
        if mask is not None:
            sampled = sampled * mask.reshape(BATCH, -1, geometry.offset_groups, taps).transpose(2, 3)[..., None]
        grouped = sampled.reshape(BATCH, -1, taps, geometry.groups, CHANNELS // geometry.groups)
        weights = kernel.reshape(taps, CHANNELS // geometry.groups, geometry.groups, FEATURES // geometry.groups)
        return torch.einsum("bptgc,tcgo->bpgo", grouped, weights).reshape(BATCH, *places, FEATURES)

    assert_close(ours(geometry)(*arrays), torch_values_and_gradients(theirs, *arrays))
