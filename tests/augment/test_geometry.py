import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.augment import horizontal_flip, pad_and_crop, random_crop, translate
from jaxvision.errors import InputError

KEY = jax.random.key(0)
COUNT = 400


def copies(image):
    return jnp.broadcast_to(image, (COUNT, *image.shape))


def test_horizontal_flip():
    image = jnp.arange(6.0).reshape(2, 3, 1)
    mirrored = jnp.array([[2.0, 1, 0], [5, 4, 3]]).reshape(2, 3, 1)
    np.testing.assert_array_equal(horizontal_flip(KEY, copies(image), probability=1.0), copies(mirrored))
    np.testing.assert_array_equal(horizontal_flip(KEY, copies(image), probability=0.0), copies(image))
    flipped = horizontal_flip(KEY, copies(image), probability=0.25)[:, 0, 0, 0] == 2
    assert abs(flipped.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / COUNT)


def test_random_crop_finds_every_place():
    rows, columns = jnp.meshgrid(jnp.arange(4), jnp.arange(6), indexing="ij")
    image = jnp.stack([rows, columns], axis=-1)
    crops = random_crop(KEY, copies(image), size_px=(3, 4))
    corners = crops[:, :1, :1]
    np.testing.assert_array_equal(crops - corners, copies(image[:3, :4]))
    places, counts = np.unique(corners.reshape(COUNT, 2), axis=0, return_counts=True)
    np.testing.assert_array_equal(places, [[row, column] for row in range(2) for column in range(3)])
    assert np.abs(counts - COUNT / 6).max() < 4 * np.sqrt(COUNT * 5 / 36)


@pytest.mark.parametrize("fill", ["zero", "edge"])
def test_translate(fill):
    image = jnp.arange(1.0, 26.0).reshape(5, 5, 1)
    moved = translate(KEY, copies(image), max_shift_px=1, fill=fill)
    mode = {"zero": "constant", "edge": "edge"}[fill]
    padded = np.pad(np.asarray(image), ((1, 1), (1, 1), (0, 0)), mode=mode)
    expected = [padded[top : top + 5, left : left + 5] for top in range(3) for left in range(3)]
    found = {image.tobytes() for image in np.asarray(moved)}
    assert found == {np.ascontiguousarray(image).tobytes() for image in expected}


def test_pad_and_crop_is_a_translation():
    images = jnp.arange(5 * 36.0).reshape(5, 6, 6, 1)
    np.testing.assert_array_equal(
        pad_and_crop(KEY, images, padding=2), translate(KEY, images, max_shift_px=2, fill="zero")
    )


def test_bad_options():
    images = jnp.zeros((2, 4, 4, 1))
    with pytest.raises(InputError, match="5x3 does not fit images of 4x4"):
        random_crop(KEY, images, size_px=(5, 3))
    with pytest.raises(InputError, match="fill: 'wrap'"):
        translate(KEY, images, max_shift_px=1, fill="wrap")
    with pytest.raises(InputError, match="max_shift_px: -1"):
        translate(KEY, images, max_shift_px=-1)
    with pytest.raises(InputError, match="max_shift_px: 4, expected 0 or more, and less than images of 4x6"):
        translate(KEY, jnp.zeros((1, 4, 6, 1)), max_shift_px=4)
    with pytest.raises(InputError, match="padding: 6, expected 0 or more, and less than images of 8x6"):
        pad_and_crop(KEY, jnp.zeros((1, 8, 6, 1)), padding=6)
