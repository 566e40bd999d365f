"""Depthwise convolution on a CPU: every channel has a kernel of its own, so there are no matrices to multiply.

images [B, H, W, C], kernel [h, w, 1, C m], output [B, H', W', C m] with m features for each channel.
"""

import functools

import jax
import jax.numpy as jnp

from jaxvision.ops.convolution.geometry import Geometry
from jaxvision.ops.convolution.patches import taps


def depthwise(wanted: str, geometry: Geometry, **arrays: jax.Array) -> jax.Array:
    """`trilinear.convolve` where every channel is a group."""
    if wanted == "output":
        return _output(geometry, **arrays)
    if wanted == "kernel":
        return _kernel(geometry, **arrays)
    kernel, output = arrays["kernel"], arrays["output"]
    images = jax.ShapeDtypeStruct(geometry.shape("images", **arrays), output.dtype)
    return jax.linear_transpose(lambda images: _output(geometry, images=images, kernel=kernel), images)(output)[0]


def _output(geometry, *, images, kernel):
    products = (
        _for_each_feature(pixels, geometry, kernel.shape[3]) * weights.reshape(1, 1, 1, -1)
        for pixel_row, weight_row in zip(taps(images, geometry), kernel[:, :, 0])
        for pixels, weights in zip(pixel_row, weight_row)
    )
    return functools.reduce(jnp.add, products)


def _kernel(geometry, *, images, output):
    """Image by image, and the sum over columns last: a sum over rows alone is one XLA does fast."""
    features = output.shape[3]

    def add(total, image_and_output):
        image, output = image_and_output
        sums = [
            jnp.sum(_for_each_feature(pixels[0], geometry, features) * output, 0)
            for row in taps(image[None], geometry)
            for pixels in row
        ]
        return total + jnp.stack(sums), None

    height, width = geometry.window
    total = jnp.zeros((height * width, geometry.out_size[1], features), output.dtype)
    by_column, _ = jax.lax.scan(add, total, (images, output))
    return by_column.sum(1).reshape(height, width, 1, features)


def _for_each_feature(pixels, geometry, features):
    """[..., C] -> [..., C m]."""
    return jnp.repeat(pixels, features // geometry.groups, axis=-1)
