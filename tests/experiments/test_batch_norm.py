import numpy as np

from experiments.foundations.batch_norm import Config, under_another_light
from jaxvision.data import InMemory


def test_another_light_by_hand():
    """0.4 x + 0.5 of black, half and white in 255ths, at most 255; the labels stay."""
    images = np.array([0, 128, 255], np.uint8).reshape(3, 1, 1, 1)
    config = Config(noise=0.0)
    shifted = under_another_light(InMemory(images, np.array([2, 0, 1])), config)
    np.testing.assert_array_equal(shifted.resident()["image"].ravel(), [128, 179, 230])
    np.testing.assert_array_equal(shifted.labels, [2, 0, 1])
    brighter = under_another_light(InMemory(images, np.arange(3)), Config(noise=0.0, brightness=0.9))
    assert brighter.resident()["image"].max() == 255


def test_noise_has_its_deviation_and_goes_by_the_seed():
    grey = InMemory(np.full((2000, 2, 2, 1), 100, np.uint8), np.zeros(2000))
    one, again, other = (
        under_another_light(grey, Config(noise=0.1, seed=seed)).resident()["image"] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    np.testing.assert_allclose(one.std(), 25.5, rtol=0.05)
