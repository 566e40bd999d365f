"""Unpooling: maxima go back to where they were found."""

import functools

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError


@functools.partial(jax.jit, static_argnames="size")
def max_unpool(values: jax.Array, switches: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Put values where the switches of `pooling.max_pool_with_switches` say, zeros elsewhere.

    The deconvnet's unpooling (Zeiler and Fergus 2014, 2.1; in torch `max_unpool2d`). values and switches
    [B, H', W', C] -> [B, H, W, C] for a size (H, W). Of several values with the same switch, as overlapping
    windows have them, one is written, and only that one gets a gradient; which one is not defined. Positions
    outside the image are dropped. Raises InputError where the shapes of values and switches differ.
    """
    if values.ndim != 4 or values.shape != switches.shape:
        raise InputError(
            f"max_unpool: values of shape {list(values.shape)} and switches of shape {list(switches.shape)}, "
            "expected [B, H', W', C] for both"
        )
    height, width = size

    def unpool_plane(values, switches):
        return jnp.zeros(height * width, values.dtype).at[switches].set(values)

    batch, _, _, channels = values.shape
    flat = (batch, -1, channels)
    unpool_channels = jax.vmap(unpool_plane, in_axes=-1, out_axes=-1)
    planes = jax.vmap(unpool_channels)(values.reshape(flat), switches.reshape(flat))
    return planes.reshape(batch, height, width, channels)
