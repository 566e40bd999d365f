import numpy as np

from jaxvision.data import InMemory, channel_statistics, mean_image

IMAGES = np.random.default_rng(0).integers(0, 256, (2500, 4, 5, 3), np.uint8)


def test_statistics_are_those_of_all_pixels():
    dataset = InMemory(IMAGES, np.zeros(2500))
    pixels = IMAGES.astype(np.float64).reshape(-1, 3) / 255
    mean, deviation = channel_statistics(dataset)
    assert mean.dtype == deviation.dtype == np.float32
    np.testing.assert_allclose(mean, pixels.mean(0), rtol=1e-7)
    np.testing.assert_allclose(deviation, pixels.std(0), rtol=1e-7)


def test_mean_image():
    found = mean_image(InMemory(IMAGES, np.zeros(2500)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, IMAGES.mean(0) / 255, rtol=1e-7)


def test_saturated_images_do_not_overflow():
    mean, deviation = channel_statistics(InMemory(np.full((3000, 8, 8, 1), 255, np.uint8), np.zeros(3000)))
    np.testing.assert_array_equal([mean, deviation], [[1.0], [0.0]])
