import functools
from math import pi

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxvision.errors import InputError
from jaxvision.ops import filters
from jaxvision.ops.filters import bilinear_upsampling_kernel, filter_bank
from jaxvision.ops.output_size import transposed_output_size
from tests.ops.numerics import KINK_DISTANCE, assert_close, assert_differentiates, compiled

many = settings(max_examples=300, deadline=None, derandomize=True)
sizes = st.sampled_from([3, 4, 7])
parameters = st.tuples(st.floats(0.6, 2.5), st.floats(0, 2 * pi), st.floats(1, 3), st.floats(1.2, 2))


def all_filters(size_px, parameters):
    sigma_px, angle_rad, elongation, ratio = parameters
    oriented = {"sigma_px": sigma_px, "angle_rad": angle_rad, "elongation": elongation}
    return {
        "gaussian": filters.gaussian(size_px, sigma_px),
        "edge": filters.oriented_edge(size_px, **oriented),
        "bar": filters.oriented_bar(size_px, **oriented),
        "log": filters.laplacian_of_gaussian(size_px, sigma_px),
        "dog": filters.difference_of_gaussians(size_px, sigma_px, ratio=ratio),
    }


def references(size_px, parameters):
    """The same in numpy, where derivatives of Gaussians are central differences."""
    sigma, angle, elongation, ratio = np.asarray(parameters, np.float64)
    y, x = np.mgrid[:size_px, :size_px] - (size_px - 1) / 2
    across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    step = 1e-3

    def gaussian(across, along, sigma):
        return np.exp(-((across / sigma) ** 2 + (along / sigma) ** 2) / 2)

    def unit_sum(kernel):
        return kernel / kernel.sum()

    def balanced(kernel):
        kernel = kernel - kernel.mean()
        return kernel / kernel[kernel > 0].sum()

    def second_derivative(function):
        return (function(step) - 2 * function(0) + function(-step)) / step**2

    def shifted(by):
        return gaussian(across + by, along / elongation, sigma)

    return {
        "gaussian": unit_sum(gaussian(x, y, sigma)),
        "edge": balanced((shifted(-step) - shifted(step)) / (2 * step)),
        "bar": balanced(-second_derivative(shifted)),
        "log": balanced(
            -second_derivative(lambda by: gaussian(x + by, y, sigma))
            - second_derivative(lambda by: gaussian(x, y + by, sigma))
        ),
        "dog": balanced(unit_sum(gaussian(x, y, sigma)) - unit_sum(gaussian(x, y, ratio * sigma))),
    }


def near_a_kink(size_px, parameters):
    """Whether an element changes its sign close by: there the scale of a filter has a kink."""

    def signs(offsets):
        return {
            name: np.sign(np.where(np.abs(kernel) < 1e-6, 0, kernel))
            for name, kernel in references(size_px, np.add(parameters, offsets)).items()
        }

    here = signs([0] * 4)
    nearby = [signs(sign * KINK_DISTANCE * np.eye(4)[axis]) for axis in range(4) for sign in (1, -1)]
    return any((here[name] != there[name]).any() for there in nearby for name in here)


@functools.cache
def ours(size_px):
    return compiled(functools.partial(all_filters, size_px))


@many
@given(sizes, parameters)
def test_are_derivatives_of_gaussians(size_px, parameters):
    kernels = ours(size_px)(jnp.array(parameters))
    assert_close(kernels, references(size_px, parameters))


@pytest.mark.parametrize("size_px", [3, 4, 7])
def test_differentiate_by_their_parameters(size_px):
    rng = np.random.default_rng(size_px)
    draws = [rng.uniform([0.6, 0, 1, 1.2], [2.5, 2 * pi, 3, 2]) for _ in range(110)]
    draws = np.stack([draw for draw in draws if not near_a_kink(size_px, draw)])
    assert len(draws) >= 100
    assert_differentiates(jax.vmap(lambda draw: jnp.stack([*all_filters(size_px, draw).values()])), draws)


@many
@given(sizes, parameters)
def test_sums(size_px, parameters):
    for name, kernel in ours(size_px)(jnp.array(parameters)).items():
        np.testing.assert_allclose(kernel.sum(), name == "gaussian", atol=2e-6)
        np.testing.assert_allclose(np.maximum(kernel, 0).sum(), 1, rtol=1e-5)


def test_gaussian_is_that_of_scipy():
    spot = np.zeros((9, 9))
    spot[4, 4] = 1
    assert_close(filters.gaussian(9, 1.5), ndimage.gaussian_filter(spot, 1.5, radius=4))


@functools.cache
def bank(size_px=7, orientations=4):
    names, kernels = filter_bank(size_px, orientations=orientations)
    return dict(zip(names, np.moveaxis(np.asarray(kernels)[:, :, 0], -1, 0), strict=True))


def test_bank_is_a_kernel_for_grey_images():
    names, kernels = filter_bank()
    assert kernels.shape == (7, 7, 1, 17)
    assert len(set(names)) == 17
    assert filter_bank(5, orientations=3)[0][7:13] == [
        "edge 0°",
        "edge 60°",
        "edge 120°",
        "bar 0°",
        "bar 60°",
        "bar 120°",
    ]


@pytest.mark.parametrize("size_px", [3, 7, 15])
def test_bank_blurs_sum_to_one_and_the_others_to_zero(size_px):
    for name, kernel in bank(size_px).items():
        np.testing.assert_allclose(kernel.sum(), "blur" in name, atol=1e-6)
        np.testing.assert_allclose(np.maximum(kernel, 0).sum(), 1, rtol=1e-5)


def test_classics():
    centre = (slice(2, 5), slice(2, 5))
    np.testing.assert_allclose(bank()["Sobel x"][centre] * 4, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(bank()["Prewitt y"][centre] * 3, [[-1, -1, -1], [0, 0, 0], [1, 1, 1]], atol=1e-6)
    np.testing.assert_allclose(bank()["Laplacian"][centre] * 4, [[0, 1, 0], [1, -4, 1], [0, 1, 0]], atol=1e-6)
    outside = np.pad(np.zeros((3, 3)), 2, constant_values=1)
    assert all((bank()[name] * outside == 0).all() for name in ("Sobel x", "Prewitt y", "Laplacian"))


def test_turned_filters_are_rotations():
    kernels = bank()
    np.testing.assert_allclose(kernels["edge 90°"], kernels["edge 0°"].T, atol=1e-6)
    np.testing.assert_allclose(kernels["edge 135°"], kernels["edge 45°"][:, ::-1], atol=1e-6)
    np.testing.assert_allclose(kernels["bar 90°"], kernels["bar 0°"].T, atol=1e-6)
    np.testing.assert_allclose(
        filters.oriented_edge(7, 1.2, 0.3 + pi), -filters.oriented_edge(7, 1.2, 0.3), atol=1e-6
    )


def half_planes():
    """Images [7, 7] of an edge through the middle, brighter in the direction of the angle, and their names."""
    y, x = np.mgrid[-3:4, -3:4]
    angles = {name: np.deg2rad(float(name[5:-1])) for name in bank() if name.startswith("edge")}
    return {name: np.cos(angle) * x + np.sin(angle) * y > 1e-9 for name, angle in angles.items()}


@pytest.mark.parametrize("angle", ["0°", "45°", "90°", "135°"])
def test_edges_and_bars_answer_most_to_what_they_are_named_after(angle):
    edge = half_planes()[f"edge {angle}"]
    responses = {name: (kernel * edge).sum() for name, kernel in bank().items() if name.startswith("edge")}
    assert max(responses, key=responses.get) == f"edge {angle}"
    np.testing.assert_allclose(responses[f"edge {angle}"], 1, atol=1e-5)
    line = ~edge & ~edge[::-1, ::-1]
    responses = {name: (kernel * line).sum() for name, kernel in bank().items() if name.startswith("bar")}
    assert max(responses, key=responses.get) == f"bar {angle}"


def test_blobs_answer_most_to_a_disc_of_their_size():
    y, x = np.mgrid[-20:21, -20:21]
    kernel = filters.laplacian_of_gaussian(41, 4.0)
    radii = np.arange(1, 15, 0.25)
    responses = [(kernel * (x**2 + y**2 <= radius**2)).sum() for radius in radii]
    assert abs(radii[np.argmax(responses)] - 4 * np.sqrt(2)) <= 0.25
    np.testing.assert_allclose(max(responses), 1, atol=1e-3)


def upsample(images, kernel, factor, groups):
    """Transposed convolution with stride `factor` and padding factor // 2."""
    pad = kernel.shape[0] - 1 - factor // 2
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        (1, 1),
        [(pad, pad)] * 2,
        lhs_dilation=(factor, factor),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5, 8])
def test_upsampling_kernel_interpolates(factor, depthwise):
    images = np.random.default_rng(factor).normal(size=(25, 4, 5, 3)).astype(np.float32)
    kernel = bilinear_upsampling_kernel(factor, 3, depthwise=depthwise)
    ours = upsample(images, kernel, factor, 3 if depthwise else 1)
    assert ours.shape[1] == 4 * factor == transposed_output_size(4, len(kernel), stride=factor, padding=factor // 2)
    resized = jax.image.resize(images, (25, 4 * factor, 5 * factor, 3), "bilinear")
    inside = slice(factor // 2, -(factor // 2) or None)  # around it the transposed convolution fades to zero
    assert_close(ours[:, inside, inside], resized[:, inside, inside])


def test_upsampling_kernel_of_factor_two():
    tent = np.outer([0.25, 0.75, 0.75, 0.25], [0.25, 0.75, 0.75, 0.25])
    kernel = bilinear_upsampling_kernel(2, 2)
    np.testing.assert_array_equal(kernel[:, :, 0, 0], tent)
    np.testing.assert_array_equal(kernel[:, :, 0, 1], 0 * tent)
    np.testing.assert_array_equal(bilinear_upsampling_kernel(2, 2, depthwise=True)[:, :, 0, 1], tent)


def test_impossible_filters():
    for size_px in (1, 4):
        with pytest.raises(InputError, match=f"size_px: {size_px}, expected an odd number of at least 3"):
            filter_bank(size_px)
    with pytest.raises(InputError, match="orientations: 0, expected at least 1"):
        filter_bank(orientations=0)
    for make in (filters.box, lambda size_px: filters.gaussian(size_px, 1.0)):
        with pytest.raises(InputError, match="size_px: 0, expected at least 1"):
            make(0)
    with pytest.raises(InputError, match="sigma_px: 0, expected more than 0"):
        filters.oriented_bar(5, 0, 1.0)
    with pytest.raises(InputError, match="factor 0 and channels 3: expected at least 1 of each"):
        bilinear_upsampling_kernel(0, 3)


@pytest.mark.parity
@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_upsampling_of_torch(factor):
    import torch

    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    weight = torch.from_numpy(np.array(bilinear_upsampling_kernel(factor, 3))).permute(2, 3, 0, 1)
    ours = torch.conv_transpose2d(images, weight, stride=factor, padding=factor // 2)
    theirs = torch.nn.functional.interpolate(images, scale_factor=factor, mode="bilinear")
    inside = slice(factor // 2, -(factor // 2))
    assert_close(ours[:, :, inside, inside].numpy(), theirs[:, :, inside, inside].numpy())
