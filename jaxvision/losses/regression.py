"""Losses of regression."""

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError


def squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Sum over the outputs of (y - t)**2, per example [B], float32 (float64 for float64 outputs).

    outputs y and targets t are [B] or [B, ...]. Raises InputError where their shapes differ.
    """
    if outputs.shape != targets.shape:
        raise InputError(
            f"squared_error: outputs of shape {list(outputs.shape)} and targets of shape {list(targets.shape)}, "
            "expected the same shape"
        )
    errors = outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32)) - targets
    return jnp.sum(errors**2, axis=tuple(range(1, errors.ndim)))
