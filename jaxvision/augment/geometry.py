"""Augmentations that move pixels and leave their values alone."""

import jax
import jax.numpy as jnp

from jaxvision.batch_axis import row_uniform
from jaxvision.errors import InputError


def horizontal_flip(key: jax.Array, images: jax.Array, *, probability: float = 0.5) -> jax.Array:
    """Mirror each image left to right with this probability."""
    flipped = row_uniform(key, len(images)) < probability
    return jnp.where(flipped[:, None, None, None], images[:, :, ::-1], images)


def random_crop(key: jax.Array, images: jax.Array, *, size_px: int | tuple[int, int]) -> jax.Array:
    """A window of `size_px` (a side, or height and width) at a uniform place: [B, H, W, C] -> [B, h, w, C].

    Raises InputError where the window is larger than the images.
    """
    height, width = (size_px, size_px) if isinstance(size_px, int) else size_px
    rows, columns, channels = images.shape[1:]
    if not (0 < height <= rows and 0 < width <= columns):
        raise InputError(f"size_px: a crop of {height}x{width} does not fit images of {rows}x{columns}")
    places = jnp.array([[rows - height + 1, columns - width + 1]])
    corners = (row_uniform(key, len(images), (2,)) * places).astype(jnp.int32)

    def crop(image, corner):
        return jax.lax.dynamic_slice(image, (*corner, 0), (height, width, channels))

    return jax.vmap(crop)(images, corners)


def translate(key: jax.Array, images: jax.Array, *, max_shift_px: int, fill: str = "zero") -> jax.Array:
    """Shift each image by whole pixels, down and right by uniform draws from -max_shift_px..max_shift_px.

    What moves in is zero (fill="zero") or repeats the border (fill="edge"). Raises InputError for any other
    fill, and for a negative shift or one that may leave nothing of an image.
    """
    if fill not in ("zero", "edge"):
        raise InputError(f"fill: {fill!r} is unknown, expected 'zero' or 'edge'")
    _require_shift("max_shift_px", max_shift_px, images)
    border = (max_shift_px, max_shift_px)
    mode = "constant" if fill == "zero" else "edge"
    padded = jnp.pad(images, ((0, 0), border, border, (0, 0)), mode=mode)
    return random_crop(key, padded, size_px=images.shape[1:3])


def pad_and_crop(key: jax.Array, images: jax.Array, *, padding: int) -> jax.Array:
    """Pad with zeros, crop the old size at a uniform place (He et al. 2016, section 4.2: padding 4).

    Raises InputError for a negative padding, or one that may leave nothing of an image.
    """
    _require_shift("padding", padding, images)
    return translate(key, images, max_shift_px=padding)


def _require_shift(name, pixels, images):
    rows, columns = images.shape[1:3]
    if not 0 <= pixels < min(rows, columns):
        raise InputError(f"{name}: {pixels}, expected 0 or more, and less than images of {rows}x{columns}")
