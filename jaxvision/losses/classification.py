"""Losses of classifiers."""

import jax
import jax.numpy as jnp
import optax


def softmax_cross_entropy(logits: jax.Array, labels: jax.Array, *, label_smoothing: float = 0.0) -> jax.Array:
    """H(t, softmax(logits)) in nats per example [B], float32.

    logits [B, K]; labels are class numbers [B] or distributions t [B, K]. A number outside 0..K-1 gives NaN.
    Smoothing by a in [0, 1] replaces t by (1 - a) t + a / K (Szegedy et al. 2016, section 7).
    """
    logits = logits.astype(jnp.float32)
    if labels.ndim == logits.ndim:
        loss = optax.losses.softmax_cross_entropy(logits, labels)
    else:
        classes = jnp.where(labels < 0, logits.shape[-1], labels)  # -1 would index the last class
        loss = optax.losses.softmax_cross_entropy_with_integer_labels(logits, classes)
    if label_smoothing == 0:
        return loss
    uniform = jnp.full_like(logits, 1 / logits.shape[-1])
    return (1 - label_smoothing) * loss + label_smoothing * optax.losses.softmax_cross_entropy(logits, uniform)
