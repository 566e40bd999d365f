"""What tells a transformer where a token is: attention itself does not see the order of its tokens."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.errors import InputError

LONGEST_WAVELENGTH = 10_000.0  # over 2 pi, in tokens


def sinusoidal_encoding(positions: jax.Array, width: int) -> jax.Array:
    """Sines at the even and cosines at the odd features (Vaswani et al. 2017, 3.5).

    positions [...] in tokens -> [..., width] float32 (float64 if positions are): feature 2i is
    sin(position / 10000^(2i/width)), feature 2i + 1 the cosine. Raises InputError if width is odd.
    """
    sines, cosines = _waves(positions, width, 2)
    return jnp.stack([sines, cosines], axis=-1).reshape(*sines.shape[:-1], width)


def sine_cosine_2d(grid: tuple[int, int], width: int) -> jax.Array:
    """Fixed encoding [H * W, width] float32 of a grid (H, W) of patches, row by row.

    The quarters of the features are sin x, cos x, sin y, cos y at width / 4 frequencies each, as in masked
    autoencoders (He et al. 2022, the authors' code; its class token has zeros). DETR interleaves them and puts
    y first. Raises InputError if 4 does not divide width.
    """
    height, columns = grid
    y, x = jnp.divmod(jnp.arange(height * columns), columns)
    return jnp.concatenate([*_waves(x, width, 4), *_waves(y, width, 4)], axis=-1)


def _waves(positions, width, parts):
    """Sines and cosines [..., width / parts] of positions [...]."""
    if width % parts:
        raise InputError(f"position encoding: {parts} does not divide a width of {width}")
    positions = jnp.asarray(positions, jnp.promote_types(jnp.result_type(positions, 1.0), jnp.float32))
    frequencies = LONGEST_WAVELENGTH ** -(np.arange(width // parts) * parts / width)
    angles = jnp.multiply.outer(positions, jnp.asarray(frequencies, positions.dtype))
    return jnp.sin(angles), jnp.cos(angles)


def resize_positions(
    positions: jax.Array,
    grid: tuple[int, int],
    new_grid: tuple[int, int],
    *,
    class_tokens: int = 1,
    method: str = "bicubic",
) -> jax.Array:
    """Learned position embeddings for images of another size (Dosovitskiy et al. 2021, 3.2).

    positions [class_tokens + H * W, D] of a grid (H, W) -> [class_tokens + H' * W', D]. The class tokens, which
    come first, are kept; the rest is a picture with D channels, resized by `jax.image.resize` with `method`
    ("bicubic", "bilinear", ...), antialiased, as timm does. Raises InputError if the grid does not fit.
    """
    expected = class_tokens + math.prod(grid)
    if len(positions) != expected:
        height, width = grid
        raise InputError(
            f"position embeddings: {len(positions)} rows, expected {expected} "
            f"({class_tokens} class tokens and a grid of {height}x{width})"
        )
    kept, patches = positions[:class_tokens], positions[class_tokens:]
    picture = patches.reshape(*grid, -1).astype(jnp.promote_types(positions.dtype, jnp.float32))
    resized = jax.image.resize(picture, (*new_grid, picture.shape[-1]), method)
    return jnp.concatenate([kept, resized.reshape(-1, picture.shape[-1]).astype(positions.dtype)])
