"""Random crops of random size and shape, brought to one size."""

import jax
import jax.numpy as jnp

from jaxvision.batch_axis import row_uniform
from jaxvision.errors import InputError


def random_resized_crop(
    key: jax.Array,
    images: jax.Array,
    *,
    size_px: int,
    area: tuple[float, float] = (0.08, 1.0),
    aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> jax.Array:
    """A part of each image, scaled to [B, size_px, size_px, C]: Szegedy et al. 2015, "Going deeper", section 6.

    The part has a share of the image's area that is uniform within `area`, a width by height whose logarithm is
    uniform within `aspect_ratio`, cut to the image where it is longer, and a uniform place. Linear interpolation
    with antialiasing. Raises InputError unless 0 < area <= 1 and 0 < aspect_ratio, both ascending.
    """
    if not (0 < area[0] <= area[1] <= 1 and 0 < aspect_ratio[0] <= aspect_ratio[1]):
        raise InputError(f"area {area}, aspect_ratio {aspect_ratio}: expected low <= high, areas within (0, 1]")
    sides = jnp.array([images.shape[1:3]], jnp.float32)
    share, shape, *place = row_uniform(key, len(images), (4,)).T
    pixels = sides.prod() * (area[0] + share * (area[1] - area[0]))
    ratio = aspect_ratio[0] * (aspect_ratio[1] / aspect_ratio[0]) ** shape
    extents = jnp.minimum(jnp.sqrt(jnp.stack([pixels / ratio, pixels * ratio], axis=1)), sides)
    corners = jnp.stack(place, axis=1) * (sides - extents)
    shape = (size_px, size_px, images.shape[-1])

    def resized(image, extent, corner):
        scale = size_px / extent
        return jax.image.scale_and_translate(image, shape, (0, 1), scale, -corner * scale, "linear", antialias=True)

    parts = jax.vmap(resized)(images.astype(jnp.float32), extents, corners)
    return (jnp.round(parts) if images.dtype == jnp.uint8 else parts).astype(images.dtype)
