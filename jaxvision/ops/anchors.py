"""Anchor boxes: the same few shapes at every cell of a feature map (Ren et al. 2015, 3.1.1)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.errors import InputError


def anchor_shapes(sizes_px: Sequence[float], aspect_ratios: Sequence[float]) -> np.ndarray:
    """One anchor [A, 4] (xyxy, around 0, float32) for every ratio = height / width and, within it, every size.

    A size is the square root of the area; corners are rounded to whole pixels, halves to even, as in the
    published detectors.
    """
    heights = np.sqrt(np.asarray(aspect_ratios, np.float32))[:, None]
    sizes = np.asarray(sizes_px, np.float32)
    corners = np.stack([(1 / heights * sizes).ravel(), (heights * sizes).ravel()], axis=-1) / 2
    return np.round(np.concatenate([-corners, corners], axis=-1))


def grid_anchors(
    image_size: tuple[int, int],
    grid: tuple[int, int],
    *,
    sizes_px: Sequence[float],
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
) -> jax.Array:
    """Anchors [H' * W' * A, 4] (xyxy, float32) of a feature map of H' x W' = grid cells.

    image_size is (H, W), padding of the batch included. Cell (row, column) centres its anchors on the pixel
    (column * (W // W'), row * (H // H')), its upper left corner; anchors run cell by cell, row by row. A pyramid
    has one call per level. Raises InputError if the grid is empty or larger than the image.
    """
    (height, width), (rows, columns) = image_size, grid
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise InputError(f"anchors: a grid of {rows}x{columns} cells does not fit an image of {height}x{width}")
    y, x = jnp.divmod(jnp.arange(rows * columns), columns)
    x, y = x * (width // columns), y * (height // rows)
    corners = jnp.stack([x, y, x, y], axis=-1).astype(jnp.float32)
    return (corners[:, None] + anchor_shapes(sizes_px, aspect_ratios)[None]).reshape(-1, 4)
