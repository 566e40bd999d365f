"""What lies under a window at each of its places, as strided slices."""

import jax
import jax.numpy as jnp

from jaxvision.ops.convolution.geometry import Geometry


def pad(images: jax.Array, geometry: Geometry) -> jax.Array:
    """Images with zeros around them."""
    return jnp.pad(images, ((0, 0), *((pixels, pixels) for pixels in geometry.padding), (0, 0)))


def taps(images: jax.Array, geometry: Geometry) -> list[list[jax.Array]]:
    """`taps[i][j]` [B, H', W', C]: the pixels under row i and column j of the window."""
    padded = pad(images, geometry)
    return [[padded[:, rows, columns] for columns in places(geometry, 1)] for rows in places(geometry, 0)]


def places(geometry: Geometry, axis: int) -> list[slice]:
    """For each row (axis 0) or column (axis 1) of the window, where it comes to lie on the padded images."""
    stride, dilation = geometry.stride[axis], geometry.dilation[axis]
    span = (geometry.out_size[axis] - 1) * stride + 1
    return [slice(i * dilation, i * dilation + span, stride) for i in range(geometry.window[axis])]
