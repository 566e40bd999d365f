import numpy as np
import pytest

from jaxvision.data import FEATURES, TOY_SETS, toy_splits
from jaxvision.errors import InputError

EVERY_SET = pytest.mark.parametrize("name", TOY_SETS)


def linear_accuracy(name, features, seed=0):
    """Of a linear classifier on the points that it was fitted to."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    points, labels = TOY_SETS[name].points(seed, 600)
    inputs = StandardScaler().fit_transform(FEATURES[features](points).astype(np.float64))
    return LogisticRegression(C=1e4, max_iter=5000).fit(inputs, labels).score(inputs, labels)


@EVERY_SET
def test_points_are_where_and_as_many_as_they_should_be(name):
    toy = TOY_SETS[name]
    points, labels = toy.points(3, 301)
    assert points.shape == (301, 2) and points.dtype == np.float32
    assert labels.shape == (301,) and labels.dtype == np.int32
    counts = np.bincount(labels)
    assert len(counts) == toy.num_classes and np.ptp(counts) <= 1
    assert 0.8 < np.abs(points).max() < 1.2
    assert (labels[:-1] != labels[1:]).mean() > 0.3  # not sorted


@EVERY_SET
def test_a_seed_names_the_points(name):
    make = TOY_SETS[name].points
    points, labels = make(5, 50)
    again, same_labels = make(5, 50)
    np.testing.assert_array_equal(points, again)
    np.testing.assert_array_equal(labels, same_labels)
    assert (make(6, 50)[0] != points).any(axis=1).all()


@EVERY_SET
def test_noise_is_the_deviation_around_the_same_points(name):
    clean, labels = TOY_SETS[name].points(1, 2000, noise=0.0)
    noisy, same_labels = TOY_SETS[name].points(1, 2000, noise=0.25)
    np.testing.assert_array_equal(labels, same_labels)
    np.testing.assert_allclose((noisy - clean).std(axis=0), 0.25, rtol=0.05)


def test_the_shapes_without_noise():
    points, labels = TOY_SETS["circles"].points(0, 40, noise=0.0)
    np.testing.assert_allclose(np.hypot(*points.T), np.where(labels == 0, 0.4, 0.9), rtol=1e-6)
    points, labels = TOY_SETS["xor"].points(0, 40, noise=0.0)
    np.testing.assert_array_equal(points.prod(axis=1), np.where(labels == 0, 0.25, -0.25).astype(np.float32))
    points, labels = TOY_SETS["three_classes"].points(0, 40, noise=0.0)
    along = np.exp(1j * (np.arctan2(points[:, 1], points[:, 0]) - 2.5 * np.pi * np.hypot(*points.T)))
    np.testing.assert_allclose(along, np.exp(2j * np.pi * labels / 3), atol=1e-5)


@pytest.mark.parametrize(("name", "features"), [(n, f) for n, toy in TOY_SETS.items() for f in toy.separating])
def test_the_features_that_are_named_make_a_set_linearly_separable(name, features):
    assert min(linear_accuracy(name, features, seed) for seed in range(3)) > 0.99


@pytest.mark.parametrize("name", [name for name, toy in TOY_SETS.items() if not toy.linearly_separable])
def test_a_line_fails_on_the_other_sets(name):
    assert max(linear_accuracy(name, "raw", seed) for seed in range(3)) < 0.8


def test_what_is_called_linearly_separable():
    assert [name for name, toy in TOY_SETS.items() if toy.linearly_separable] == ["blobs", "three_blobs"]


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("raw", [3, -4]),
        ("product", [3, -4, -12]),
        ("radius", [3, -4, 5]),
        ("quadratic", [3, -4, 9, 16, -12]),
        ("cubic", [3, -4, 27, -36, 48, -64]),
        ("polar", [5, 0.6, -0.8]),
        ("unrolled", [-0.8, -0.6]),  # 12.5 pi is a quarter turn on: angle - pi / 2
    ],
)
def test_features_of_a_point(features, expected):
    found = FEATURES[features](np.array([[3, -4], [0, 0]]))
    assert found.dtype == np.float32 and np.isfinite(found).all()
    np.testing.assert_allclose(found[0], expected, rtol=2e-5)


def test_splits_hold_one_pixel_an_example():
    sizes = {"train": 30, "validation": 20, "test": 9}
    splits = toy_splits("three_classes", seed=4, sizes=sizes, features="polar")
    assert splits.info.image_shape == (1, 1, 3) and splits.info.sizes == sizes
    assert splits.info.class_names == ("class 0", "class 1", "class 2")
    assert (len(splits.train), len(splits.validation), len(splits._test())) == (30, 20, 9)
    points, labels = TOY_SETS["three_classes"].points([4, 1], 20)
    batch = splits.validation.resident()
    assert batch["image"].dtype == np.float32
    np.testing.assert_array_equal(batch["image"], FEATURES["polar"](points).reshape(20, 1, 1, 3))
    np.testing.assert_array_equal(batch["label"], labels)


def test_splits_share_no_point_and_take_the_noise():
    splits = toy_splits("circles", seed=0, noise=0.0)
    held = {tuple(point.ravel()) for point in splits.validation.resident()["image"]}
    train = splits.train.resident()["image"].reshape(-1, 2)
    assert len(train) == 400 and not held & {tuple(point) for point in train}
    np.testing.assert_allclose(np.unique(np.hypot(*train.T).round(5)), [0.4, 0.9], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "rings"}, "'rings': no toy set, expected one of blobs, xor"),
        ({"features": "sine"}, "features: 'sine', expected one of raw"),
        ({"sizes": {"train": 3}}, "sizes: of train, expected of train, validation, test"),
        ({"sizes": {"train": 3, "validation": 0, "test": 1}}, "examples: 0, expected at least 1"),
        ({"noise": -0.1}, "noise: -0.1, expected a standard deviation of 0 or more"),
        ({"noise": np.nan}, "noise: nan"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(InputError, match=message):
        toy_splits(**{"name": "xor", "seed": 0} | options)
