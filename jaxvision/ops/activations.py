"""Activations, elementwise and of any shape; `ACTIVATIONS` names those that a file or a flag may ask for."""

import jax
import jax.numpy as jnp


def identity(x: jax.Array) -> jax.Array:
    return x


@jax.jit  # so that a jaxpr shows it by its name, as it shows relu
def step(x: jax.Array) -> jax.Array:
    """The perceptron's threshold: +1 where x >= 0, else -1; its gradient is zero everywhere."""
    return jnp.where(x >= 0, 1, -1).astype(x.dtype)


ACTIVATIONS = {
    "identity": identity,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "step": step,
    "tanh": jnp.tanh,
}
