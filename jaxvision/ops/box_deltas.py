"""Boxes as corrections to other boxes, which is what a detector regresses (Girshick et al. 2014, appendix C)."""

import math

import jax
import jax.numpy as jnp

from jaxvision.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh

LARGEST_LOG_SCALE = math.log(1000 / 16)  # keeps exp finite; the published detectors' number


def encode_deltas(
    boxes: jax.Array, anchors: jax.Array, *, weights: tuple[float, float, float, float] = (1, 1, 1, 1)
) -> jax.Array:
    """What makes anchors [..., 4] into boxes [..., 4], both xyxy: deltas dx, dy, dw, dh [..., 4].

    dx = (x - x_a) / w_a between centres and dw = log(w / w_a), likewise for y and h (eq. 6 to 9), times weights:
    (1, 1, 1, 1) in the paper and in region proposal networks, (10, 10, 5, 5) in the published detectors' heads.
    A side that is not positive counts as 1 pixel, so that boxes which only fill up a batch have finite deltas.
    """
    x, y, width, height = _centre_and_sides(boxes)
    anchor_x, anchor_y, anchor_width, anchor_height = _centre_and_sides(anchors)
    width, height, anchor_width, anchor_height = (
        jnp.where(side > 0, side, 1) for side in (width, height, anchor_width, anchor_height)
    )
    deltas = (
        (x - anchor_x) / anchor_width,
        (y - anchor_y) / anchor_height,
        jnp.log(width / anchor_width),
        jnp.log(height / anchor_height),
    )
    deltas = [weight * delta for weight, delta in zip(weights, deltas)]
    return jnp.stack(deltas, axis=-1).astype(jnp.result_type(boxes, 1.0))


def decode_deltas(
    deltas: jax.Array, anchors: jax.Array, *, weights: tuple[float, float, float, float] = (1, 1, 1, 1)
) -> jax.Array:
    """Boxes [..., 4] (xyxy) of deltas [..., 4] to anchors [..., 4]: the inverse of `encode_deltas` (eq. 1 to 4).

    A side grows at most 1000 / 16 times. For deltas of every class [N, K, 4] give anchors [N, 1, 4].
    """
    anchor_x, anchor_y, anchor_width, anchor_height = _centre_and_sides(anchors)
    columns = jnp.unstack(deltas.astype(anchor_x.dtype), axis=-1)
    dx, dy, dw, dh = (column / weight for column, weight in zip(columns, weights))
    boxes = (
        anchor_x + dx * anchor_width,
        anchor_y + dy * anchor_height,
        anchor_width * jnp.exp(jnp.minimum(dw, LARGEST_LOG_SCALE)),
        anchor_height * jnp.exp(jnp.minimum(dh, LARGEST_LOG_SCALE)),
    )
    return cxcywh_to_xyxy(jnp.stack(boxes, axis=-1)).astype(deltas.dtype)


def _centre_and_sides(boxes):
    wide = jnp.promote_types(jnp.result_type(boxes, 1.0), jnp.float32)
    return jnp.unstack(xyxy_to_cxcywh(boxes.astype(wide)), axis=-1)
