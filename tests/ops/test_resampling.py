import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxvision.errors import InputError
from jaxvision.ops.resampling import resampling_matrix, resize
from tests.ops.numerics import compiled

SIZES = [((9, 14), (5, 7)), ((9, 14), (20, 14)), ((31, 12), (7, 25)), ((1, 3), (4, 1)), ((60, 900), (40, 15))]
KERNELS = ["nearest", "bilinear", "bicubic"]

every_size = pytest.mark.parametrize(("size", "new_size"), SIZES)
every_kernel = pytest.mark.parametrize("interpolation", KERNELS)


def by_pil(images, size, interpolation):
    """The same by PIL, in whose pixels floats (mode F) are neither rounded nor cut."""
    height, width = size
    resized = [
        Image.fromarray(image).resize((width, height), Image.Resampling[interpolation.upper()]) for image in images
    ]
    return np.stack([np.asarray(image) for image in resized])


@every_kernel
@every_size
def test_floats_are_those_of_pil(size, new_size, interpolation):
    images = np.random.default_rng(0).normal(size=(2, *size)).astype(np.float32)
    resized = compiled(functools.partial(resize, size=new_size, interpolation=interpolation))(images[..., None])
    np.testing.assert_allclose(resized[..., 0], by_pil(images, new_size, interpolation), atol=1e-5)


@every_kernel
@every_size
def test_bytes_are_those_of_pil(size, new_size, interpolation):
    """Black and white, so that bicubic overshoots: PIL cuts it off after columns, and again after rows."""
    images = 255 * np.random.default_rng(0).integers(0, 2, (2, *size, 3), np.uint8)
    resized = compiled(functools.partial(resize, size=new_size, interpolation=interpolation))(images)
    assert resized.dtype == jnp.uint8
    np.testing.assert_array_equal(resized, by_pil(images, new_size, interpolation))


@pytest.mark.parity
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@every_size
def test_floats_are_those_of_torch(size, new_size, interpolation, antialias):
    import torch

    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(images).permute(0, 3, 1, 2), new_size, mode=interpolation, antialias=antialias
    )
    resized = resize(images, new_size, interpolation=interpolation, antialias=antialias)
    np.testing.assert_allclose(resized, expected.permute(0, 2, 3, 1), atol=1e-5)


def test_weights_by_hand():
    halved = resampling_matrix(4, 2, interpolation="bilinear")  # a triangle of 4 pixels, less what is outside
    np.testing.assert_allclose(halved, np.array([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7, rtol=1e-6)
    sharp = resampling_matrix(4, 2, interpolation="bilinear", antialias=False)
    np.testing.assert_array_equal(sharp, [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    doubled = resampling_matrix(2, 4, interpolation="bilinear")
    np.testing.assert_array_equal(doubled, [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_array_equal(resampling_matrix(4, 2, interpolation="nearest"), [[0, 1, 0, 0], [0, 0, 0, 1]])


@every_kernel
@pytest.mark.parametrize("antialias", [True, False])
def test_the_same_size_changes_nothing_and_rows_sum_to_1(interpolation, antialias):
    options = {"interpolation": interpolation, "antialias": antialias}
    np.testing.assert_allclose(resampling_matrix(6, 6, **options), np.eye(6), atol=1e-7)
    for new_size in (1, 2, 5, 17):
        np.testing.assert_allclose(resampling_matrix(6, new_size, **options).sum(1), 1, rtol=1e-6)


def test_without_antialiasing_bytes_are_rounded_once():
    images = 255 * np.random.default_rng(0).integers(0, 2, (1, 9, 14, 1), np.uint8)
    options = {"size": (5, 31), "interpolation": "bicubic", "antialias": False}
    exact = resize(images.astype(np.float32), **options)
    np.testing.assert_array_equal(resize(images, **options), np.clip(np.floor(exact + 0.5), 0, 255))


def test_types():
    images = jnp.ones((1, 4, 4, 1), jnp.bfloat16)
    assert resize(images, (2, 2)).dtype == jnp.bfloat16
    assert jax.vmap(lambda image: resize(image[None], (2, 3))[0])(images).shape == (1, 2, 3, 1)


@pytest.mark.parametrize(
    ("shape", "size", "options", "message"),
    [
        ((4, 4, 3), (2, 2), {}, r"images of shape \[4, 4, 3\]"),
        ((1, 4, 4, 3), (0, 2), {}, "from 4 to 0 pixels"),
        ((1, 4, 4, 3), (2, 2), {"interpolation": "lanczos"}, "'lanczos' is unknown, expected nearest"),
    ],
)
def test_what_cannot_be_resized(shape, size, options, message):
    with pytest.raises(InputError, match=message):
        resize(jnp.zeros(shape), size, **options)
