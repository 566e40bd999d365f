"""Normalization: subtract a mean, divide by a standard deviation, scale and shift each channel.

The channels are the last axis. Statistics are float32 (float64 for float64).
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.errors import InputError


def batch_statistics(
    x: jax.Array, *, mask: jax.Array | None = None, axis_name: str | None = None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mean [C], biased variance [C] and number of values per channel of a batch x [B, ..., C].

    Ioffe and Szegedy (2015), algorithm 1. `mask` [B] is true for the real examples of a padded batch. With
    `axis_name` the statistics are those of the whole batch that is split over that mapped axis, however
    unequal the parts. Without any real example mean and variance are 0. Raises InputError for a mask of
    another shape.

    Sums are of x - k and its square, k being the first value of each channel: they read x once, and cancel as
    little as deviations from the mean do (Chan, Golub & LeVeque 1983, "shifted data").
    """
    if x.ndim < 2:
        raise InputError(f"batch_statistics: x of shape {list(x.shape)}, expected [B, ..., C]")
    if mask is not None and mask.shape != x.shape[:1]:
        raise InputError(f"batch_statistics: mask of shape {list(mask.shape)}, expected {list(x.shape[:1])}")
    x = _wide(x)
    rows, first = len(x), x.reshape(-1, x.shape[-1])[:1]
    if mask is not None:
        real = mask.astype(bool)
        rows, first = jnp.sum(real), jnp.where(real[:1, None], first, 0)
    shift = lax.stop_gradient(jnp.sum(first, 0))  # any will do; a batch of nothing has none
    if axis_name is not None:
        shift = lax.pmean(shift, axis_name)  # deviations of different kinds would not add up
    deviations = x - _per_channel(shift, x)
    if mask is not None:
        # Not deviations * mask: a NaN in the padding would get into sums and gradients.
        deviations = jnp.where(real.reshape(-1, *[1] * (x.ndim - 1)), deviations, 0)
    all_but_channels = tuple(range(x.ndim - 1))
    sums = jnp.sum(deviations, all_but_channels), jnp.sum(deviations * deviations, all_but_channels)
    count = jnp.asarray(rows * math.prod(x.shape[1:-1]), x.dtype)
    if axis_name is not None:
        sums, count = lax.psum((sums, count), axis_name)
    correction, square = (total / jnp.maximum(count, 1) for total in sums)
    variance = square - correction * correction
    return shift + correction, jnp.where(variance < 0, 0, variance), count


def batch_norm(
    x: jax.Array, mean: jax.Array, variance: jax.Array, scale: jax.Array, bias: jax.Array, *, epsilon: float = 1e-5
) -> jax.Array:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias for x [..., C] and the rest [C].

    Ioffe and Szegedy (2015), algorithm 1: mean and variance are the batch's in training, the population's
    afterwards. Computed as one multiplication and one addition for each value.
    """
    factor = lax.rsqrt(variance + epsilon) * scale
    offset = bias - mean * factor
    return (_wide(x) * _per_channel(factor, x) + _per_channel(offset, x)).astype(x.dtype)


def layer_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, *, epsilon: float = 1e-6) -> jax.Array:
    """Normalize the channels at each position: x [..., C], scale and bias [C] (Ba et al. 2016, equation 3)."""

    def mean(values):
        return jnp.mean(values, axis=-1, keepdims=True)

    return _normalize(x, *_mean_and_variance(_wide(x), mean), scale, bias, epsilon)


def group_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, *, groups: int, epsilon: float = 1e-5) -> jax.Array:
    """Normalize each group of C / groups neighbouring channels over all positions of an example.

    x [B, ..., C], scale and bias [C]. Wu and He (2018), equations 1 and 7; with groups = C this is instance
    normalization. Raises InputError where groups does not divide C.
    """
    channels = x.shape[-1]
    if groups < 1 or channels % groups:
        raise InputError(f"group_norm: {groups} groups do not divide {channels} channels")
    grouped = _wide(x).reshape(*x.shape[:-1], groups, -1)
    group = (*range(1, x.ndim - 1), x.ndim)

    def mean(values):
        return jnp.mean(values, axis=group, keepdims=True)

    def ungroup(statistic):
        return jnp.repeat(statistic, channels // groups, axis=-1).reshape(*statistic.shape[:-2], channels)

    return _normalize(x, *map(ungroup, _mean_and_variance(grouped, mean)), scale, bias, epsilon)


def local_response_norm(
    x: jax.Array, *, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> jax.Array:
    """Divide by (k + alpha * sum of squares over `size` neighbouring channels)**beta: x [..., C], k > 0.

    Krizhevsky et al. (2012), 3.3, with the paper's numbers: the sum runs over channels i - size // 2 to
    i + (size - 1) // 2 as far as they exist. torch and Caffe divide alpha by size and have k = 1 by default: for
    their LRN(size, alpha, beta, k) give alpha / size. Raises InputError for a size below 1.
    """
    if size < 1:
        raise InputError(f"local_response_norm: a size of {size} channels, expected at least 1")
    wide = _wide(x)
    ones = (1,) * (x.ndim - 1)
    pads = ((0, 0),) * (x.ndim - 1) + ((size // 2, (size - 1) // 2),)
    energy = lax.reduce_window(wide * wide, 0.0, lax.add, (*ones, size), (*ones, 1), pads)
    return (wide * (k + alpha * energy) ** -beta).astype(x.dtype)


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _mean_and_variance(x, mean):
    """Mean and biased variance of x, where `mean` averages and keeps the axes it averages over."""
    estimate = lax.stop_gradient(mean(x))  # any number will do: the result does not depend on it
    deviations = x - estimate
    # The squares first, so that gradients add up in an order of which XLA makes small fusions: in the other, those
    # of a transformer grow with its depth, and a step of ViT-L/16 takes 93 s to compile on a CPU instead of 6.
    square = mean(deviations * deviations)
    correction = mean(deviations)
    variance = square - correction * correction
    return estimate + correction, jnp.where(variance < 0, 0, variance)


def _per_channel(vector, x):
    return vector.reshape((1,) * (x.ndim - 1) + (-1,))


def _normalize(x, mean, variance, scale, bias, epsilon):
    factor = lax.rsqrt(variance + epsilon) * _per_channel(scale, x)
    return ((_wide(x) - mean) * factor + _per_channel(bias, x)).astype(x.dtype)
