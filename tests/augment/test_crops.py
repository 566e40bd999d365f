import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.augment import ten_crop
from jaxvision.errors import InputError
from jaxvision.metrics import majority_vote, mean_probability
from scripts.benchmarks.torch_oracle import torchvision_and_operators


def test_ten_crop_by_hand():
    image = jnp.arange(12).reshape(1, 3, 4, 1)
    crops = jax.jit(ten_crop, static_argnums=1)(image, (2, 3))[:, 0, :, :, 0]
    top_left, top_right = [[0, 1, 2], [4, 5, 6]], [[1, 2, 3], [5, 6, 7]]
    bottom_left, bottom_right = [[4, 5, 6], [8, 9, 10]], [[5, 6, 7], [9, 10, 11]]
    np.testing.assert_array_equal(crops[:5], [top_left, top_right, bottom_left, bottom_right, top_left])
    mirrored = [np.fliplr(crop) for crop in (top_right, top_left, bottom_right, bottom_left, top_right)]
    np.testing.assert_array_equal(crops[5:], mirrored)


@pytest.mark.parity
@pytest.mark.parametrize(("size", "size_px"), [((9, 12), 6), ((7, 7), (4, 6)), ((8, 5), 5)])
def test_ten_crop_is_torchvisions(size, size_px):
    import torch

    torchvision, _ = torchvision_and_operators()
    images = np.random.default_rng(0).random((2, *size, 3), np.float32)
    expected = torchvision.transforms.functional.ten_crop(torch.from_numpy(images).permute(0, 3, 1, 2), size_px)
    crops = ten_crop(jnp.asarray(images), size_px)
    np.testing.assert_array_equal(crops, torch.stack(expected).permute(0, 1, 3, 4, 2))


def test_a_vote_and_an_average_of_ten_may_differ():
    votes = jnp.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 6)[:, None]
    np.testing.assert_array_equal(majority_vote(votes), [1])
    np.testing.assert_allclose(mean_probability(votes), [[0.6, 0.4]], rtol=1e-6)


@pytest.mark.parametrize("size_px", [4, (4, 2), (2, 0)])
def test_a_crop_has_to_fit(size_px):
    with pytest.raises(InputError, match="does not fit images of 3x5"):
        ten_crop(jnp.zeros((1, 3, 5, 1)), size_px)
