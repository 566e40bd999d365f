"""Resizing images as PIL does, or without antialiasing as torch: weighted means along rows and along columns."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.errors import InputError

Interpolation = Literal["nearest", "bilinear", "bicubic"]


def resize(
    images: jax.Array,
    size: tuple[int, int],
    *,
    interpolation: Interpolation = "bilinear",
    antialias: bool = True,
) -> jax.Array:
    """Images [B, H, W, C] -> [B, h, w, C] of the same type, for a size (h, w).

    uint8 images are rounded and cut to 0..255 after each of the two passes, bit by bit as in PIL, or without
    antialiasing at the end, as in torch. Floating-point images are neither; bicubic interpolation may leave their
    range. Raises InputError for another rank, an empty size or an unknown interpolation.
    """
    if images.ndim != 4:
        raise InputError(f"resize: images of shape {list(images.shape)}, expected [B, H, W, C]")
    (height, width), (new_height, new_width) = images.shape[1:3], size
    options = {"interpolation": interpolation, "antialias": antialias}
    passes = [
        ("ow,bhwc->bhoc", resampling_matrix(width, new_width, **options)),
        ("oh,bhwc->bowc", resampling_matrix(height, new_height, **options)),
    ]
    if height - new_height > max(0, 2 * (width - new_width)):  # PIL's own choice, since version 13
        passes.reverse()
    if images.dtype == jnp.uint8 and antialias:
        for product, weights in passes:
            images = _of_bytes(product, weights, images)
        return images
    wide = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    for product, weights in passes:
        wide = _exact_product(product, weights, wide)
    if images.dtype == jnp.uint8:
        wide = jnp.clip(jnp.floor(wide + 0.5), 0, 255)
    return wide.astype(images.dtype)


def _of_bytes(product, weights, images):
    """The product to the nearest byte, in PIL's arithmetic: the weights are integers over 2**22.

    Their upper and lower halves have sums that a float32 holds exactly, below some 64 pixels for one.
    """
    whole = np.rint(weights * 2**22)
    upper = np.rint(whole / 2**11)
    halves = (_exact_product(product, half, images.astype(jnp.float32)) for half in (upper, whole - upper * 2**11))
    upper, lower = (half.astype(jnp.int32) for half in halves)
    return jnp.clip((upper * 2**11 + lower + 2**21) >> 22, 0, 255).astype(jnp.uint8)


def _exact_product(product, weights, values):
    weights = jnp.asarray(weights, values.dtype)
    return jnp.einsum(product, weights, values, precision=jax.lax.Precision.HIGHEST)


def resampling_matrix(
    size: int, new_size: int, *, interpolation: Interpolation = "bilinear", antialias: bool = True
) -> np.ndarray:
    """The weights float64 [new_size, size] that the old pixels have in each new one; rows sum to 1.

    Antialiased, the kernel widens where the image shrinks, and what of it lies outside of the image does not count.
    Without, the border pixel stands for all beyond it. Bicubic is that of Keys 1981, "Cubic convolution
    interpolation for digital image processing", with a = -1/2 (his equation 15), or without antialiasing -3/4.
    """
    if min(size, new_size) < 1:
        raise InputError(f"resize: from {size} to {new_size} pixels, expected at least 1")
    if interpolation not in ("nearest", "bilinear", "bicubic"):
        raise InputError(f"interpolation: {interpolation!r} is unknown, expected nearest, bilinear or bicubic")
    step = size / new_size
    if interpolation == "nearest":
        centres = np.cumsum([step / 2] + [step] * (new_size - 1))  # PIL adds up: on a border rounding decides
        return (np.floor(centres)[:, None] == np.arange(size)).astype(np.float64)
    centres = (np.arange(new_size)[:, None] + 0.5) * step  # on an axis where pixel j reaches from j to j + 1
    if antialias:
        weights = _kernel(interpolation, (np.arange(size) + 0.5 - centres) / max(step, 1), sharpness=-0.5)
        return weights / weights.sum(1, keepdims=True)
    pixels = np.floor(centres - 0.5).astype(int) + np.arange(-1, 3)
    weights = _kernel(interpolation, pixels + 0.5 - centres, sharpness=-0.75)
    matrix = np.zeros((new_size, size))
    np.add.at(matrix, (np.arange(new_size)[:, None], pixels.clip(0, size - 1)), weights)
    return matrix


def _kernel(interpolation, distances, sharpness):
    x = np.abs(distances)
    if interpolation == "bilinear":
        return np.maximum(1 - x, 0)
    near = ((sharpness + 2) * x - (sharpness + 3)) * x**2 + 1
    far = (((x - 5) * x + 8) * x - 4) * sharpness
    return np.where(x < 1, near, np.where(x < 2, far, 0))
