"""Gradients derived by hand, as the course derives them: what `jax.grad` finds by itself.

Layer by layer from the output, delta is the gradient of an example's loss at the layer's sum a = x W^T + b. It is
the gradient at y = tanh(a) times 1 - y**2; delta^T x is the gradient at W, the sum of delta that at b, and delta W
that at x, which is the y of the layer before (Rumelhart, Hinton and Williams 1986, equations 4 to 7).
"""

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.losses.classification import softmax_cross_entropy
from jaxvision.losses.regression import squared_error

LOSSES = {  # name: (loss of outputs y and targets t, its gradient at y)
    "cross_entropy": (softmax_cross_entropy, lambda y, t: jax.nn.softmax(y) - t),
    "squared": (squared_error, lambda y, t: 2 * (y - t)),
}

Layer = tuple[jax.Array, jax.Array]


def multiperceptron_gradients(
    weights: jax.Array, bias: jax.Array, x: jax.Array, targets: jax.Array, *, loss: str = "cross_entropy"
) -> tuple[jax.Array, Layer]:
    """Loss of y = tanh(x W^T + b) and its gradients (dW, db), means over the batch.

    Args:
      weights: [K, D], a row for each class.
      bias: [K].
      x: [B, D].
      targets: [B, K]; distributions for the cross-entropy, which takes y for logits.
      loss: "cross_entropy" or "squared".

    Raises:
      InputError: for any other loss, or targets that are not [B, K].
    """
    y = jnp.tanh(_affine((weights, bias), x))
    value, at_y = _loss_and_gradient(loss, y, targets)
    delta = at_y * (1 - y**2)
    return value, _layer_gradients(delta, x)


def mlp_gradients(
    hidden: Layer, output: Layer, x: jax.Array, targets: jax.Array, *, loss: str = "cross_entropy"
) -> tuple[jax.Array, tuple[Layer, Layer]]:
    """Loss of y = tanh(x U^T + c) W^T + b and its gradients ((dU, dc), (dW, db)), means over the batch.

    Args:
      hidden: U [H, D] and c [H].
      output: W [K, H] and b [K]; linear, as the head of `models.mlp`.
      x, targets, loss: as in `multiperceptron_gradients`.

    Raises:
      InputError: as `multiperceptron_gradients`.
    """
    features = jnp.tanh(_affine(hidden, x))
    y = _affine(output, features)
    value, delta = _loss_and_gradient(loss, y, targets)
    weights, _ = output
    hidden_delta = (delta @ weights) * (1 - features**2)
    return value, (_layer_gradients(hidden_delta, x), _layer_gradients(delta, features))


def _affine(layer, x):
    weights, bias = layer
    return x @ weights.T + bias[None]


def _loss_and_gradient(loss, y, targets):
    """Mean loss, and the gradient of each example's own loss at its y."""
    if loss not in LOSSES:
        raise InputError(f"loss: {loss!r} is not one of {', '.join(LOSSES)}")
    if targets.shape != y.shape:
        raise InputError(f"targets of shape {list(targets.shape)}, expected {list(y.shape)}")
    of_examples, gradient = LOSSES[loss]
    return jnp.mean(of_examples(y, targets)), gradient(y, targets)


def _layer_gradients(delta, x):
    return delta.T @ x / len(x), jnp.sum(delta, axis=0) / len(x)
