import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.augment import Preprocess, normalise, scale_to_plus_minus_one, subtract_mean_image, to_float
from jaxvision.errors import InputError

CHANNELS = Preprocess((2, 3, 2), mean=(0.1, 0.5), std=(0.2, 0.25))


def test_to_float():
    np.testing.assert_allclose(to_float(jnp.array([0, 51, 255], jnp.uint8)), [0, 0.2, 1], rtol=1e-7)
    passed = jnp.array([0.3, 1.7])
    assert to_float(passed) is passed
    with pytest.raises(InputError, match="int32"):
        to_float(jnp.array([1, 2]))


def test_normalise_per_channel_and_per_pixel():
    images = jnp.full((1, 2, 3, 2), 0.6)
    np.testing.assert_allclose(normalise(images, CHANNELS.mean, CHANNELS.std)[0, 1, 2], [2.5, 0.4], rtol=1e-6)
    mean_image = jnp.arange(12.0).reshape(2, 3, 2)
    expected = (0.6 - mean_image[None]) / 2
    np.testing.assert_allclose(normalise(images, mean_image, jnp.array([2.0, 2.0])), expected, rtol=1e-6)
    np.testing.assert_allclose(subtract_mean_image(images, mean_image), 2 * expected, rtol=1e-6)


def test_scale_to_plus_minus_one():
    np.testing.assert_array_equal(scale_to_plus_minus_one(jnp.array([0, 0.5, 1])), [-1, 0, 1])


def test_preprocess_takes_bytes_and_floats_alike():
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, 2, 3, 2), np.uint8))
    expected = (np.asarray(images) / 255 - [0.1, 0.5]) / [0.2, 0.25]
    for same in (images, np.asarray(images), images / jnp.float32(255)):
        np.testing.assert_allclose(jax.jit(CHANNELS)(same), expected, rtol=1e-5, atol=1e-6)
        assert CHANNELS(same).dtype == jnp.float32


def test_preprocess_survives_json():
    mean_image = np.random.default_rng(0).random((2, 3, 2), np.float32)
    whole = Preprocess([2, 3, 2], mean=mean_image, std=[0.1, 1 / 3])
    for preprocess in (CHANNELS, whole):
        again = Preprocess(**json.loads(json.dumps(dataclasses.asdict(preprocess))))
        assert again == preprocess and hash(again) == hash(preprocess)
    np.testing.assert_array_equal(np.array(again.mean, np.float32), mean_image)


@pytest.mark.parametrize("shape", [(4, 3, 2, 2), (4, 2, 3, 1), (2, 3, 2)])
def test_preprocess_refuses_other_images(shape):
    with pytest.raises(InputError, match=r"images: shape .*, expected \[B, 2, 3, 2\]"):
        CHANNELS(jnp.zeros(shape))


@pytest.mark.parametrize(
    ("shape", "mean", "std", "message"),
    [
        ((2, 3), (0.0,), (1.0,), "image_shape"),
        ((2, 3, 2), (0.0,), (1.0, 1.0), "mean: shape"),
        ((2, 3, 2), (0.0, 0.0), (1.0, 0.0), "std: .* positive"),
        ((2, 3, 2), (0.0, float("nan")), (1.0, 1.0), "mean: .* finite"),
    ],
)
def test_preprocess_refuses_other_fields(shape, mean, std, message):
    with pytest.raises(InputError, match=message):
        Preprocess(shape, mean, std)
