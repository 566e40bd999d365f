import numpy as np
import pytest

from jaxvision.data import InMemory, fake, few_with_random_labels, with_random_labels
from jaxvision.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (4000, 1, 1, 1), np.uint8)
DATASET = InMemory(IMAGES, np.arange(4000) % 10).take(np.arange(3999, -1, -1))


def test_a_share_of_the_labels_is_drawn_anew():
    """Of 4000 labels 0.4 are drawn and one in ten of these stays right: 1440 change, give or take 30."""
    changed = with_random_labels(DATASET, 0.4, classes=10, seed=0)
    np.testing.assert_array_equal(changed.resident()["image"], IMAGES[::-1])
    wrong = changed.labels != DATASET.labels
    assert 1440 - 100 < wrong.sum() < 1440 + 100
    assert np.bincount(changed.labels[wrong], minlength=10).min() > 100
    assert not changed.is_test


def test_a_seed_is_one_draw():
    labels = [with_random_labels(DATASET, 0.4, classes=10, seed=seed).labels for seed in (1, 1, 2)]
    np.testing.assert_array_equal(labels[0], labels[1])
    assert (labels[0] != labels[2]).any()


def test_no_share_and_all():
    np.testing.assert_array_equal(with_random_labels(DATASET, 0, classes=10, seed=0).labels, DATASET.labels)
    all_drawn = with_random_labels(DATASET, 1, classes=10, seed=0)
    assert abs((all_drawn.labels == DATASET.labels).mean() - 0.1) < 0.02


def test_what_can_not_be():
    with pytest.raises(InputError, match=r"1\.5, expected a number in \[0, 1\]"):
        with_random_labels(DATASET, 1.5, classes=10, seed=0)
    test = DATASET.take(np.arange(10))
    test.is_test = True
    assert with_random_labels(test, 0.5, classes=10, seed=0).is_test


def test_few_with_random_labels():
    splits = fake("digits")
    few = few_with_random_labels(splits, 20, 0.5, seed=0)
    wrong = with_random_labels(splits.few(20).train, 0.5, classes=10, seed=0)
    np.testing.assert_array_equal(few.train.labels, wrong.labels)
    assert few.info.sizes == {"train": 20, "validation": 32, "test": 32}
