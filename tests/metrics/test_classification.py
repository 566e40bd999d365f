import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.metrics import confusion, masked_sum, mean, merge, top_k_correct

LOGITS = jnp.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [0.0, 1.0, 2.0], [9.0, 0.0, 0.0]])
LABELS = jnp.array([0, 1, 0, 7])  # the last row is padding
MASK = jnp.array([1, 1, 1, 0])


def test_top_k_correct():
    np.testing.assert_array_equal(top_k_correct(LOGITS, LABELS), [1, 0, 0, 0])
    np.testing.assert_array_equal(top_k_correct(LOGITS, LABELS, k=2), [1, 1, 0, 0])
    np.testing.assert_array_equal(top_k_correct(LOGITS, LABELS, k=3), [1, 1, 1, 0])
    with pytest.raises(InputError, match="k: 5"):
        top_k_correct(LOGITS, LABELS, k=5)


def test_equal_logits_are_right_for_one_class_only():
    np.testing.assert_array_equal(top_k_correct(jnp.zeros((3, 3)), jnp.arange(3)), [1, 0, 0])


@pytest.mark.parametrize("k", [1, 2, 3])
def test_logits_that_are_not_numbers_are_wrong(k):
    nan = jnp.nan
    logits = jnp.array([[nan, nan, nan], [nan, 1.0, 0.0], [nan, 1.0, 0.0], [-jnp.inf, 1.0, -jnp.inf]])
    np.testing.assert_array_equal(top_k_correct(logits, jnp.array([0, 0, 1, 1]), k=k), [0, 0, 0, 1])


def test_masked_values_do_not_matter():
    total, count = masked_sum(jnp.array([1.0, 2.0, 4.0, jnp.nan]), MASK)
    assert (total, count) == (7, 3)


def test_metrics_of_uneven_batches_merge_to_the_metric_of_all():
    values = jax.random.normal(jax.random.key(0), (7,))
    metrics = [{"loss": masked_sum(part, jnp.ones(len(part)))} for part in (values[:4], values[4:5], values[5:])]
    merged = functools.reduce(merge, metrics)
    np.testing.assert_allclose(mean(merged["loss"]), values.mean(), rtol=1e-6)
    assert jnp.isnan(mean(masked_sum(values, jnp.zeros(7))))


@pytest.mark.parametrize("padding_label", [7, -1, 2])
def test_confusion(padding_label):
    counts = confusion(LOGITS, LABELS.at[3].set(padding_label), MASK, 3)
    np.testing.assert_array_equal(counts, [[1, 0, 1], [1, 0, 0], [0, 0, 0]])
    correct, _ = masked_sum(top_k_correct(LOGITS, LABELS), MASK)
    assert jnp.trace(counts) == correct
