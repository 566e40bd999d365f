"""Losses of classifiers, and the entropies behind the usual one."""

import jax
import jax.numpy as jnp
import optax

from jaxvision.errors import InputError


def softmax_cross_entropy(logits: jax.Array, labels: jax.Array, *, label_smoothing: float = 0.0) -> jax.Array:
    """H(t, softmax(logits)) in nats per example [B], float32 (float64 for float64 logits).

    logits [B, K]; labels are class numbers [B] or distributions t [B, K]. A number outside 0..K-1 gives NaN.
    Smoothing by a in [0, 1] replaces t by (1 - a) t + a / K (Szegedy et al. 2016, section 7).
    """
    logits = _wide(logits)
    if labels.ndim == logits.ndim:
        loss = optax.losses.softmax_cross_entropy(logits, labels)
    else:
        loss = optax.losses.softmax_cross_entropy_with_integer_labels(logits, _classes(labels, logits))
    if label_smoothing == 0:
        return loss
    uniform = jnp.full_like(logits, 1 / logits.shape[-1])
    return (1 - label_smoothing) * loss + label_smoothing * optax.losses.softmax_cross_entropy(logits, uniform)


def entropy(p: jax.Array) -> jax.Array:
    """H(p) = -sum p log p in nats per example [B], of distributions p [B, K] (Shannon 1948, section 6).

    Where p is 0 the term and its gradient are 0.
    """
    p = _wide(p)
    return -jnp.sum(p * jnp.log(jnp.where(p == 0, 1, p)), axis=-1)


def kl_divergence(p: jax.Array, q: jax.Array) -> jax.Array:
    """D_KL(p || q) = sum p log(p / q) in nats per example [B], of distributions p and q [B, K].

    Kullback and Leibler (1951), section 2. Cross-entropy is H(p, q) = H(p) + D_KL(p || q). Where p is 0 the term
    and its gradients are 0, whatever q; where q alone is 0 the divergence is infinite. Raises InputError where the
    shapes differ.
    """
    _require_one_shape("kl_divergence", p=p, q=q)
    p, q = _wide(p), _wide(q)
    impossible = p == 0
    return jnp.sum(p * (jnp.log(jnp.where(impossible, 1, p)) - jnp.log(jnp.where(impossible, 1, q))), axis=-1)


def perceptron_criterion(scores: jax.Array, targets: jax.Array) -> jax.Array:
    """-s t summed over the outputs that are wrong, per example [B]: the perceptron criterion (Rosenblatt 1958).

    scores s [B] or [B, K] before the step, targets t in {-1, +1} of the same shape; any other target gives NaN.
    The answer is +1 where s >= 0, else -1, as in `ops.activations.step`: s = 0 is right for t = +1, wrong for -1.
    A wrong output of s = w x has the gradient -x t in w, also at s = 0, and a right one has none, so that gradient
    descent is the perceptron's rule w <- w + rate x t. Raises InputError where the shapes differ.
    """
    scores, targets = _signed("perceptron_criterion", scores, targets)
    # No comparison holds for NaN, which therefore counts as wrong and is seen.
    right = ((scores >= 0) & (targets == 1)) | ((scores < 0) & (targets == -1))
    return _sum_of_outputs(jnp.where(right, 0, -scores * targets))


def binary_hinge(scores: jax.Array, targets: jax.Array) -> jax.Array:
    """max(0, 1 - s t) summed over the outputs, per example [B] (Cortes and Vapnik 1995, section 3).

    scores s [B] or [B, K], targets t in {-1, +1} of the same shape; any other target gives NaN. The gradient on the
    margin, s t = 1, is 0. Raises InputError where the shapes differ.
    """
    scores, targets = _signed("binary_hinge", scores, targets)
    return _sum_of_outputs(jax.nn.relu(1 - scores * targets))


def multiclass_hinge(scores: jax.Array, labels: jax.Array, *, margin: float = 1.0) -> jax.Array:
    """Sum over the classes j other than the label y of max(0, s_j - s_y + margin), per example [B].

    Weston and Watkins (1999), whose margin is 2. scores s [B, K], labels [B] class numbers; a number
    outside 0..K-1 gives NaN. The gradient on the margin is 0. Raises InputError for labels of another shape.
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise InputError(
            f"multiclass_hinge: scores of shape {list(scores.shape)} and labels of shape {list(labels.shape)}, "
            "expected [B, K] and [B]"
        )
    scores = _wide(scores)
    labels = _classes(labels, scores)[:, None]
    own = jnp.take_along_axis(scores, labels, axis=1, mode="fill", fill_value=jnp.nan)
    others = labels != jnp.arange(scores.shape[1])[None]
    return jnp.sum(jnp.where(others, jax.nn.relu(scores - own + margin), 0), axis=1)


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _classes(labels, logits):
    return jnp.where(labels < 0, logits.shape[-1], labels)  # -1 would index the last class


def _signed(name, scores, targets):
    """Both as wide floats, the targets NaN where they are no signs."""
    _require_one_shape(name, scores=scores, targets=targets)
    scores = _wide(scores)
    return scores, jnp.where(jnp.abs(targets) == 1, targets, jnp.nan).astype(scores.dtype)


def _sum_of_outputs(losses):
    return jnp.sum(losses, axis=tuple(range(1, losses.ndim)))


def _require_one_shape(name, **arrays):
    if len({array.shape for array in arrays.values()}) > 1:
        shapes = " and ".join(f"{argument} of shape {list(array.shape)}" for argument, array in arrays.items())
        raise InputError(f"{name}: {shapes}, expected the same shape")
