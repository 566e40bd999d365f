import numpy as np
from PIL import Image

from jaxvision.data.records import decode

RNG = np.random.default_rng(0)


def test_images_of_the_right_size_come_back_exactly(encoded):
    colour, grey = RNG.integers(0, 256, (5, 7, 3), np.uint8), RNG.integers(0, 256, (5, 7), np.uint8)
    np.testing.assert_array_equal(decode(encoded(colour), (5, 7, 3)), colour)
    np.testing.assert_array_equal(decode(encoded(grey), (5, 7, 1)), grey[..., None])
    np.testing.assert_array_equal(decode(encoded(grey), (5, 7, 3)), np.stack([grey] * 3, -1))


def test_the_centre_is_cut_where_no_scaling_is_needed(encoded):
    image = RNG.integers(0, 256, (8, 4, 3), np.uint8)
    np.testing.assert_array_equal(decode(encoded(image), (4, 4, 3)), image[2:6])
    np.testing.assert_array_equal(decode(encoded(image), (8, 2, 3)), image[:, 1:3])


def test_a_crop_is_given_the_whole_image(encoded):
    colour, grey = RNG.integers(0, 256, (9, 7, 3), np.uint8), RNG.integers(0, 256, (9, 7), np.uint8)
    np.testing.assert_array_equal(decode(encoded(colour), (4, 5, 3), lambda image: image[5:, 2:]), colour[5:, 2:])
    found = decode(encoded(grey), (4, 5, 1), lambda image: image[5:, 2:])
    np.testing.assert_array_equal(found, grey[5:, 2:, None])


def test_scaling_averages_so_that_nothing_aliases(encoded):
    stripes = np.zeros((40, 40), np.uint8)
    stripes[:, ::2] = 200
    small = decode(encoded(stripes), (10, 10, 1))
    assert abs(int(small[5, 5, 0]) - 100) <= 1  # plain bilinear sampling gives 0 or 200 somewhere, here 100 +- 1


def test_scaling_to_cover_is_that_of_the_covering_part(encoded):
    wide = RNG.integers(0, 256, (16, 48), np.uint8)
    whole = Image.fromarray(wide).resize((24, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(decode(encoded(wide), (8, 8, 1))[:, 1:-1, 0], np.asarray(whole)[:, 9:15])
