"""RoI align: the features of a box on a fixed grid, without rounding its coordinates (He et al. 2017, 3)."""

import functools

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError


@functools.partial(jax.jit, static_argnames=("output_size", "sampling_ratio", "aligned"))
def roi_align(
    features: jax.Array,
    boxes: jax.Array,
    output_size: tuple[int, int],
    *,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 2,
    aligned: bool = False,
) -> jax.Array:
    """Mean of bilinear samples in each of the h x w = output_size bins of every box.

    features [B, H, W, C] and boxes [B, N, 4] (xyxy, pixels) -> [B, N, h, w, C]; spatial_scale is cells per pixel,
    one over the stride. A bin has sampling_ratio**2 samples; those up to one cell outside the map take the value
    at its border, those further out are 0. aligned=True puts the centre of the first cell half a cell from the
    edge, as pixels have it; False puts it on the edge and makes every box at least one cell long.

    The arithmetic is torchvision's, whose published detectors use sampling_ratio 2 and aligned=False. Its
    default ratio, -1, takes as many samples as the box needs, which no fixed shape can. Raises InputError for a
    ratio below 1 and shapes that disagree.
    """
    if sampling_ratio < 1:
        raise InputError(f"RoI align: a sampling ratio of {sampling_ratio}, expected at least 1")
    if features.ndim != 4 or boxes.ndim != 3 or boxes.shape[::2] != (len(features), 4):
        raise InputError(
            f"RoI align: features {list(features.shape)} and boxes {list(boxes.shape)}, "
            "expected [B, H, W, C] and [B, N, 4]"
        )
    align = functools.partial(_align_image, output_size=output_size, samples=sampling_ratio, aligned=aligned)
    boxes = boxes.astype(jnp.promote_types(boxes.dtype, jnp.float32)) * spatial_scale
    return jax.vmap(align)(features, boxes)


def _align_image(features, boxes, *, output_size, samples, aligned):
    """[H, W, C] and boxes [N, 4] in cells -> [N, h, w, C]."""
    (height, width, channels), (bins_high, bins_wide) = features.shape, output_size
    x1, y1, x2, y2 = jnp.unstack(boxes, axis=-1)
    rows, row_weights = _neighbours(y1, y2, bins_high, samples, height, aligned)
    columns, column_weights = _neighbours(x1, x2, bins_wide, samples, width, aligned)
    dtype = jnp.promote_types(features.dtype, jnp.float32)

    def add_neighbour(total, place):
        i, j = place
        weights = row_weights[i][:, :, None] * column_weights[j][:, None, :]
        values = features[rows[i][:, :, None], columns[j][:, None, :]]
        return total + (weights[..., None] * values).astype(dtype), None

    # A scan, and not one gather, which would hold every neighbour of every sample in memory at once.
    places = jnp.divmod(jnp.arange(len(rows) * len(columns)), len(columns))
    start = jnp.zeros((len(boxes), bins_high, bins_wide, channels), dtype)
    return jax.lax.scan(add_neighbour, start, places)[0].astype(features.dtype)


def _neighbours(start, end, bins, samples, cells, aligned):
    """Indices and weights [2 * samples, N, bins] of the cells between which a bin's samples lie, along one axis."""
    length = end - start if aligned else jnp.maximum(end - start, 1)
    in_bin = (jnp.arange(samples, dtype=start.dtype) + 0.5) / samples
    fractions = (in_bin[:, None, None] + jnp.arange(bins, dtype=start.dtype)[None, None]) / bins
    places = start[None, :, None] - (0.5 if aligned else 0) + fractions * length[None, :, None]
    share = jnp.where((places >= -1) & (places <= cells), 1 / samples, 0)
    places = jnp.clip(places, 0, cells - 1)
    lower = jnp.floor(places)
    upper_weight = places - lower
    lower = lower.astype(int)
    indices = jnp.concatenate([lower, jnp.minimum(lower + 1, cells - 1)])
    return indices, jnp.concatenate([(1 - upper_weight) * share, upper_weight * share])
