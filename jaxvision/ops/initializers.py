"""Initial weights: functions (key, shape, dtype) -> array. Bind options with `functools.partial`.

shape is a linear layer's [I, O], or a convolution's [H, W, I / groups, O]. `normal` is a whole Gaussian, as in the
papers and in torch.nn.init; jax.nn.initializers cuts those it calls normal at two standard deviations.
"""

import math

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError

Shape = tuple[int, ...]

zeros = jax.nn.initializers.zeros

# Variance 1 / fan_in (LeCun et al. 1998, "Efficient backprop", 4.6), the normal one cut at two standard deviations
# of the uncut Gaussian and widened to have that variance: what flax gives a kernel if nothing else is asked for.
lecun_uniform = jax.nn.initializers.lecun_uniform()
lecun_normal = jax.nn.initializers.lecun_normal()


def normal(key: jax.Array, shape: Shape, dtype=jnp.float32, *, std: float | jax.Array = 0.01) -> jax.Array:
    """N(0, std^2); by default the small random numbers of Krizhevsky et al. 2012, 5."""
    return (std * jax.random.normal(key, shape, dtype)).astype(dtype)


def uniform(key: jax.Array, shape: Shape, dtype=jnp.float32, *, bound: float | jax.Array = 0.01) -> jax.Array:
    """U(-bound, bound), of variance bound^2 / 3; jax.nn.initializers.uniform begins at 0."""
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def xavier_normal(key: jax.Array, shape: Shape, dtype=jnp.float32, **options) -> jax.Array:
    """N(0, std^2) with std of `xavier_std`, which takes the options."""
    return normal(key, shape, dtype, std=xavier_std(shape, **options))


def xavier_uniform(key: jax.Array, shape: Shape, dtype=jnp.float32, **options) -> jax.Array:
    """U with the variance of `xavier_normal`: by default U(±√6 / √(fan_in + fan_out)) (Glorot & Bengio, eq. 16)."""
    return uniform(key, shape, dtype, bound=math.sqrt(3) * xavier_std(shape, **options))


def he_normal(key: jax.Array, shape: Shape, dtype=jnp.float32, **options) -> jax.Array:
    """N(0, std^2) with std of `he_std`, which takes the options."""
    return normal(key, shape, dtype, std=he_std(shape, **options))


def he_uniform(key: jax.Array, shape: Shape, dtype=jnp.float32, **options) -> jax.Array:
    """U with the variance of `he_normal`: by default U(±√(6 / fan_in))."""
    return uniform(key, shape, dtype, bound=math.sqrt(3) * he_std(shape, **options))


def torch_default(key: jax.Array, shape: Shape, dtype=jnp.float32, *, fan_in: float | None = None) -> jax.Array:
    """U(±1 / √fan_in), what torch.nn.Linear and Conv2d draw: kaiming_uniform_(a=√5), a third of LeCun's variance.

    Give the kernel's fan_in for the bias, which is drawn alike, and H W O / groups for a transposed convolution,
    where torch exchanges I and O.
    """
    return uniform(key, shape, dtype, bound=1 / math.sqrt(fans(shape)[0] if fan_in is None else fan_in))


def xavier_std(shape: Shape, *, gain: float = 1.0, groups: int = 1, upsampling: int = 1) -> float:
    """gain √(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, "Understanding the difficulty of training", eq. 12).

    A compromise between keeping the variance of the signals and that of the gradients in a linear network; gain
    makes up for what an activation takes away (torch.nn.init.calculate_gain: 5/3 for tanh).
    """
    return gain * math.sqrt(2 / sum(fans(shape, groups=groups, upsampling=upsampling)))


def he_std(shape: Shape, *, slope: float = 0.0, fan: str = "in", groups: int = 1, upsampling: int = 1) -> float:
    """√(2 / ((1 + slope²) fan)), for leaky ReLU of that slope, 0 being ReLU (He et al. 2015, eq. 10, 14, 15).

    fan="in" keeps the variance of the signals, "out" that of the gradients. Raises InputError for any other.
    """
    if fan not in ("in", "out"):
        raise InputError(f"he_std: fan {fan!r}, expected 'in' or 'out'")
    fan_in, fan_out = fans(shape, groups=groups, upsampling=upsampling)
    return math.sqrt(2 / ((1 + slope**2) * (fan_in if fan == "in" else fan_out)))


def fans(shape: Shape, *, groups: int = 1, upsampling: int = 1) -> tuple[float, float]:
    """(fan_in, fan_out): how many inputs an output sees, and how many outputs see an input at stride 1.

    fan_in = H W I / groups, which the shape shows, and fan_out = H W O / groups; torch leaves out these groups, so
    that groups=1 gives torch's numbers. `upsampling` is the stride of a transposed convolution [H, W, I, O], whose
    outputs see H W I / upsampling² inputs on average. Raises InputError for shapes without I and O, groups that do
    not divide O, or upsampling below 1.
    """
    if len(shape) < 2 or min(shape) < 1:
        raise InputError(f"fans: shape {list(shape)}, expected [I, O] or [H, W, I / groups, O], none of them 0")
    if groups < 1 or shape[-1] % groups:
        raise InputError(f"fans: {groups} groups do not divide {shape[-1]} outputs")
    if upsampling < 1:
        raise InputError(f"fans: upsampling {upsampling}, expected at least 1")
    *window, inputs, outputs = shape
    size = math.prod(window)
    return size * inputs / upsampling ** len(window), size * outputs / groups
