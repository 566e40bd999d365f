from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.data.memory import InMemory
from jaxvision.errors import InputError
from jaxvision.models.blocks import BatchNorm, initialise, statistics_of_batch
from jaxvision.models.mlp import MLP
from jaxvision.parallel import LAYOUTS, make_layout
from jaxvision.training.batch_statistics import make_population_statistics

MODEL = MLP((4, 3), 2, norm=partial(BatchNorm, epsilon=0.0))


def examples(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 2, 2, 1)).astype(np.float32)


def batches(images, size):
    return [{"image": images[start : start + size]} for start in range(0, len(images), size)]


def estimator(model, layout="replicate", devices=1):
    def statistics_fn(variables, batch):
        return statistics_of_batch(model, variables, batch["image"].astype(jnp.float32), mask=batch.get("mask"))

    layout = make_layout(layout, jax.devices()[:devices])
    estimate = make_population_statistics(statistics_fn, layout)
    return lambda variables, batches: estimate(layout.place(variables), batches)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("devices", [1, 2])
def test_every_example_counts_once(layout, devices):
    """The batches (1, 3), (5, 11) and (7, padding) have means 2, 8, 7 and unbiased variances 2, 18, 0."""
    model = MLP((1,), 2, norm=BatchNorm)
    images = np.array([1, 3, 5, 11, 7], np.uint8).reshape(5, 1, 1, 1)
    variables = initialise(model, jax.random.key(0), images)
    variables["params"]["hidden1"]["kernel"] = jnp.ones((1, 1))
    dataset = InMemory(images, np.zeros(5))
    found = estimator(model, layout, devices)(variables, dataset.evaluation_batches(2))["batch_stats"]["norm1"]
    np.testing.assert_allclose(found["mean"], [(2 * 2 + 2 * 8 + 7) / 5], rtol=1e-6)
    np.testing.assert_allclose(found["var"], [(2 * 2 + 2 * 18 + 0) / 5], rtol=1e-6)


def test_one_batch_of_everything_is_the_population():
    images = examples(50)
    variables = initialise(MODEL, jax.random.key(0), images)
    found = estimator(MODEL)(variables, batches(images, 50))["batch_stats"]
    before = images.reshape(50, 4) @ np.asarray(variables["params"]["hidden1"]["kernel"])
    np.testing.assert_allclose(found["norm1"]["mean"], before.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["norm1"]["var"], before.var(0, ddof=1), rtol=1e-5)


def test_evaluation_is_training_when_the_statistics_are_the_populations():
    """Up to m / (m - 1), at every depth."""
    images = examples(400)
    variables = initialise(MODEL, jax.random.key(0), images)
    found = estimator(MODEL)(variables, batches(images, 400))
    trained, _ = MODEL.apply(variables, images, train=True, mutable="batch_stats")
    np.testing.assert_allclose(MODEL.apply({**variables, **found}, images), trained, rtol=0.02, atol=0.02)
    assert np.abs(MODEL.apply(variables, images) - trained).max() > 0.2  # with the initial ones


def test_statistics_of_the_target_undo_an_affine_shift():
    """W (3 x - 2) has mean and deviation such that the first normalisation removes 3 and -2."""
    images = examples(60)
    shifted = 3 * images - 2
    variables = initialise(MODEL, jax.random.key(0), images)
    estimate = estimator(MODEL)
    source = {**variables, **estimate(variables, batches(images, 20))}
    adapted = {**variables, **estimate(source, batches(shifted, 20))}
    expected = MODEL.apply(source, images)
    np.testing.assert_allclose(MODEL.apply(adapted, shifted), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(MODEL.apply(source, shifted) - expected).max() > 1


def test_no_examples():
    images = examples(2)
    variables = initialise(MODEL, jax.random.key(0), images)
    for nothing in ([], [{"image": images, "mask": np.zeros(2, np.float32)}]):
        with pytest.raises(InputError, match="population statistics: no examples"):
            estimator(MODEL)(variables, nothing)
