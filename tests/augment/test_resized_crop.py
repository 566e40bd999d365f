"""Random resized crops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.augment import random_resized_crop
from jaxvision.errors import InputError

KEY = jax.random.key(0)
WHOLE = {"area": (1.0, 1.0), "aspect_ratio": (1.0, 1.0)}


def ramps(batch, height, width):
    """Images whose channels are the row and the column of each pixel's centre."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return jnp.asarray(np.tile(np.stack([rows, columns], -1)[None], (batch, 1, 1, 1)), jnp.float32)


def test_the_whole_image_is_itself():
    images = ramps(3, 8, 8)
    np.testing.assert_allclose(random_resized_crop(KEY, images, size_px=8, **WHOLE), images, atol=1e-5)
    halved = images.reshape(3, 4, 2, 4, 2, 2).mean((2, 4))
    inner = np.asarray(random_resized_crop(KEY, images, size_px=4, **WHOLE))[:, 1:-1, 1:-1]
    np.testing.assert_allclose(inner, halved[:, 1:-1, 1:-1], atol=1e-5)


def test_size_shape_and_place_of_the_part():
    """On a ramp the values at two pixels tell where the part begins and how large it is."""
    parts = np.asarray(random_resized_crop(KEY, ramps(2000, 32, 64), size_px=32, area=(0.1, 0.5)))
    middle = parts[:, 8:24, 8:24]  # away from borders, where antialiasing repeats the edge
    step = np.stack(
        [middle[:, 1:, :, 0] - middle[:, :-1, :, 0], (middle[:, :, 1:, 1] - middle[:, :, :-1, 1]).swapaxes(1, 2)],
        -1,
    )
    extents = 32 * step.mean((1, 2))
    shares = extents.prod(1) / (32 * 64)
    ratios = extents[:, 1] / extents[:, 0]
    assert shares.min() > 0.099 and shares.max() < 0.501
    np.testing.assert_allclose(shares.mean(), 0.3, atol=0.01)
    cut = extents[:, 0] > 31.9
    assert ratios.min() > 0.74 and ratios[~cut].max() < 1.34
    np.testing.assert_allclose(np.log(ratios[~cut]).mean(), 0, atol=0.03)
    centres = parts[:, 15:17, 15:17].mean((1, 2))
    assert (centres >= extents / 2 - 0.1).all() and (centres <= np.array([[32, 64]]) - extents / 2 + 0.1).all()
    np.testing.assert_allclose(centres.mean(0), [16, 32], rtol=0.05)


def test_rows_draw_for_themselves_and_types_stay():
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)), jnp.uint8)
    parts = random_resized_crop(KEY, images, size_px=8)
    assert parts.shape == (4, 8, 8, 3) and parts.dtype == jnp.uint8
    as_floats = random_resized_crop(KEY, images / 255.0, size_px=8)
    np.testing.assert_allclose(parts / 255.0, as_floats, atol=0.51 / 255)
    compiled = jax.jit(lambda images: random_resized_crop(KEY, images, size_px=8))
    np.testing.assert_array_equal(compiled(images)[:2], random_resized_crop(KEY, images[:2], size_px=8))


@pytest.mark.parametrize("options", [{"area": (0.5, 0.1)}, {"area": (0.0, 1.0)}, {"aspect_ratio": (2.0, 1.0)}])
def test_what_can_not_be(options):
    with pytest.raises(InputError, match="expected low <= high"):
        random_resized_crop(KEY, ramps(1, 8, 8), size_px=4, **options)
