"""Metrics of classifiers. A metric is a pair (sum, count), so that evaluation in batches is exact."""

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError


def top_k_correct(logits: jax.Array, labels: jax.Array, k: int = 1) -> jax.Array:
    """1.0 where the label is among the k largest logits, else 0.0 [B]; of equal logits the first wins.

    logits [B, K]: with a NaN among them no label is right. labels [B]. Raises InputError unless 1 <= k <= K.
    """
    if not 1 <= k <= logits.shape[-1]:
        raise InputError(f"k: {k} is not between 1 and the {logits.shape[-1]} classes")
    _, best = jax.lax.top_k(logits, k)
    answered = ~jnp.isnan(logits).any(-1)  # top_k takes NaN for the largest
    return (answered & jnp.any(best == labels[:, None], axis=-1)).astype(jnp.float32)


def masked_sum(values: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(sum, count) of the values where the mask holds; the other values do not count, not even NaN
    (in the sum; its gradient at a NaN is NaN).

    values and mask (bool or 0/1) are [B].
    """
    mask = mask.astype(bool)
    return jnp.sum(jnp.where(mask, values, 0)), jnp.sum(mask)


def merge(a, b):
    """The metrics, or a tree of them, of two sets of examples taken together."""
    return jax.tree.map(lambda x, y: x + y, a, b)


def mean(metric: tuple[jax.Array, jax.Array]) -> jax.Array:
    """sum / count; NaN for no examples."""
    total, count = metric
    return total / count


def confusion(logits: jax.Array, labels: jax.Array, mask: jax.Array, num_classes: int) -> jax.Array:
    """Counts [K, K] (int32) by true class (row) and largest logit (column); they add up over batches.

    logits [B, K], labels [B], mask [B] (bool or 0/1).
    """
    predicted = jnp.argmax(logits, axis=-1)
    counts = jnp.zeros((num_classes, num_classes), jnp.int32)
    return counts.at[labels, predicted].add(mask.astype(jnp.int32), mode="drop")
