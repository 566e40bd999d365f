import numpy as np
import pytest

from jaxvision.data import fake


@pytest.mark.parametrize(
    ("name", "image_size", "shape", "classes"),
    [
        ("mnist", None, (28, 28, 1), 10),
        ("cifar100", None, (32, 32, 3), 100),
        ("birds", None, (32, 32, 3), 10),
        ("digits", (16, 12), (16, 12, 1), 10),
    ],
)
def test_fake_data_have_the_shape_of_the_real(name, image_size, shape, classes):
    splits = fake(name, image_size=image_size)
    assert splits.info.image_shape == shape and len(set(splits.info.class_names)) == classes
    everything = splits.train.resident()
    assert everything["image"].shape == (64, *shape) and everything["image"].dtype == np.uint8
    np.testing.assert_array_equal(fake(name, image_size=image_size).train.resident()["image"], everything["image"])


def test_fake_data_can_be_learnt():
    splits = fake("cifar10")
    train, held = splits.train.resident(), splits.validation.resident()
    means = np.stack([train["image"][train["label"] == k].mean(0) for k in range(10)])
    distances = ((held["image"][:, None] - means[None]) ** 2).sum((2, 3, 4))
    assert (distances.argmin(1) == held["label"]).mean() > 0.95
