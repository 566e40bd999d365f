"""Activations; `ACTIVATIONS` names those that a file or a flag may ask for, elementwise and without parameters.

Those imported from jax have exactly the right values and derivatives. Where two derivatives meet, all of these take
the one that PyTorch takes: relu'(0) = 0, leaky_relu'(0) = slope, elu'(0) = 1, relu6'(0) = relu6'(6) = 0.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax.nn import elu, relu, relu6, sigmoid, silu, softplus
from jax.numpy import tanh

from jaxvision.errors import InputError

# Ours are jitted so that a jaxpr shows them by their names, as it shows relu.


def identity(x: jax.Array) -> jax.Array:
    return x


@jax.jit
def step(x: jax.Array) -> jax.Array:
    """The perceptron's threshold: +1 where x >= 0, else -1; its gradient is zero everywhere."""
    return jnp.where(x >= 0, 1, -1).astype(x.dtype)


@jax.jit
def leaky_relu(x: jax.Array, *, slope: float | jax.Array = 0.1) -> jax.Array:
    """x where x > 0, else slope x (Maas et al. 2013, 2, where the slope is 0.01).

    jax.nn.leaky_relu takes 1 for the derivative at 0.
    """
    return jnp.where(x > 0, x, jnp.asarray(slope, x.dtype) * x)


@jax.jit
def prelu(x: jax.Array, slope: jax.Array) -> jax.Array:
    """Leaky ReLU with a learned slope for each channel (He et al. 2015, "Delving deep into rectifiers", eq. 1).

    x [..., C], slope [C], or [] for one that all channels share. Raises InputError for any other shape of slope.
    """
    if slope.shape not in ((), x.shape[-1:]):
        raise InputError(f"prelu: slope of shape {list(slope.shape)}, expected {list(x.shape[-1:])} or []")
    return leaky_relu(x, slope=jnp.broadcast_to(slope, x.shape))


@jax.jit
def crelu(x: jax.Array) -> jax.Array:
    """(relu(x), relu(-x)) side by side: [..., C] -> [..., 2 C] (Shang et al. 2016, definition 2.1)."""
    return jnp.concatenate([relu(x), relu(-x)], axis=-1)


@functools.partial(jax.jit, static_argnames="pieces")
def maxout(x: jax.Array, pieces: int) -> jax.Array:
    """Largest of each `pieces` neighbouring channels: [..., C] -> [..., C / pieces] (Goodfellow et al. 2013, 2).

    The first of equal values gets the gradient. Raises InputError where `pieces` does not divide C.
    """
    channels = x.shape[-1]
    if pieces < 1 or channels % pieces:
        raise InputError(f"maxout: {channels} channels do not divide into groups of {pieces} pieces")
    groups = x.reshape(*x.shape[:-1], channels // pieces, pieces)
    winner = jnp.argmax(groups, axis=-1, keepdims=True)  # jnp.max would split the gradient of ties
    return jnp.take_along_axis(groups, winner, axis=-1)[..., 0]


@jax.jit
def gelu(x: jax.Array) -> jax.Array:
    """x Φ(x), Φ the normal distribution function (Hendrycks & Gimpel 2016, 2): torch's default, not jax.nn's."""
    return jax.nn.gelu(x, approximate=False)


@jax.jit
def gelu_tanh(x: jax.Array) -> jax.Array:
    """GELU approximated by x/2 (1 + tanh(u)), u = √(2/π) (x + 0.044715 x³), within 5e-4: jax.nn.gelu's default."""
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return x * sigmoid(2 * u)  # the same, but tanh loses digits of the gradient where it is flat


ACTIVATIONS = {
    "elu": elu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "identity": identity,
    "leaky_relu": leaky_relu,
    "relu": relu,
    "relu6": relu6,
    "sigmoid": sigmoid,
    "silu": silu,
    "softplus": softplus,
    "step": step,
    "tanh": tanh,
}
