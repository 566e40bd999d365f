"""Axis-aligned boxes [..., 4]: x1, y1, x2, y2 in pixels, x to the right and y down.

A box whose x2 <= x1 or y2 <= y1 is empty: its area and every overlap with it are 0, with finite gradients.
Everything is computed in float32 at least and returned in the dtype of the boxes (float32 for integers).
"""

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError


def area(boxes: jax.Array) -> jax.Array:
    """Square pixels [...] of boxes [..., 4]."""
    return _area(*_columns(boxes)).astype(_dtype(boxes))


def iou(boxes: jax.Array, others: jax.Array) -> jax.Array:
    """Intersection over union [...], in [0, 1], of boxes and others [..., 4], one by one."""
    intersection, union = _intersection_and_union(boxes, others)
    return _ratio(intersection, union).astype(_dtype(boxes))


def iou_matrix(boxes: jax.Array, others: jax.Array) -> jax.Array:
    """Intersection over union [..., N, M] of all pairs of boxes [..., N, 4] and others [..., M, 4]."""
    return iou(boxes[..., :, None, :], others[..., None, :, :])


def giou(boxes: jax.Array, others: jax.Array) -> jax.Array:
    """Generalised IoU [...], in [-1, 1], of boxes and others [..., 4], one by one.

    IoU - (C - U) / C with U the area of the union and C that of the smallest box around both, so that boxes
    apart still have a gradient (Rezatofighi et al. 2019, algorithm 1). 0 where C is 0.
    """
    intersection, union = _intersection_and_union(boxes, others)
    (x1, y1, x2, y2), (u1, v1, u2, v2) = _columns(boxes), _columns(others)
    hull = _area(jnp.minimum(x1, u1), jnp.minimum(y1, v1), jnp.maximum(x2, u2), jnp.maximum(y2, v2))
    return (_ratio(intersection, union) - _ratio(hull - union, hull)).astype(_dtype(boxes))


def clip(boxes: jax.Array, height: int | jax.Array, width: int | jax.Array) -> jax.Array:
    """Boxes [..., 4] cut off at the borders of an image of height x width pixels (scalars, may be traced)."""
    x1, y1, x2, y2 = _columns(boxes)
    clipped = [
        jnp.clip(x1, 0, width),
        jnp.clip(y1, 0, height),
        jnp.clip(x2, 0, width),
        jnp.clip(y2, 0, height),
    ]
    return _stacked(clipped, boxes)


def xyxy_to_xywh(boxes: jax.Array) -> jax.Array:
    """x1, y1, x2, y2 -> x1, y1, width, height (COCO's form), [..., 4]."""
    x1, y1, x2, y2 = _columns(boxes)
    return _stacked([x1, y1, x2 - x1, y2 - y1], boxes)


def xywh_to_xyxy(boxes: jax.Array) -> jax.Array:
    """x1, y1, width, height -> x1, y1, x2, y2, [..., 4]."""
    x1, y1, width, height = _columns(boxes)
    return _stacked([x1, y1, x1 + width, y1 + height], boxes)


def xyxy_to_cxcywh(boxes: jax.Array) -> jax.Array:
    """x1, y1, x2, y2 -> x and y of the centre, width, height (YOLO's form, in pixels), [..., 4]."""
    x1, y1, x2, y2 = _columns(boxes)
    return _stacked([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], boxes)


def cxcywh_to_xyxy(boxes: jax.Array) -> jax.Array:
    """x and y of the centre, width, height -> x1, y1, x2, y2, [..., 4]."""
    x, y, width, height = _columns(boxes)
    return _stacked([x - width / 2, y - height / 2, x + width / 2, y + height / 2], boxes)


def _dtype(boxes):
    return jnp.result_type(boxes, 1.0)  # the boxes' own, if they are floats


def _columns(boxes):
    """The four numbers [...] of boxes [..., 4], in float32 at least."""
    if jnp.shape(boxes)[-1:] != (4,):
        raise InputError(f"boxes of shape {list(jnp.shape(boxes))}, expected [..., 4]")
    return jnp.unstack(jnp.asarray(boxes, jnp.promote_types(_dtype(boxes), jnp.float32)), axis=-1)


def _stacked(columns, boxes):
    return jnp.stack(columns, axis=-1).astype(_dtype(boxes))


def _area(x1, y1, x2, y2):
    width, height = x2 - x1, y2 - y1
    # Not jnp.maximum, which halves the gradient of an empty side.
    return jnp.where(width < 0, 0, width) * jnp.where(height < 0, 0, height)


def _intersection_and_union(boxes, others):
    (x1, y1, x2, y2), (u1, v1, u2, v2) = _columns(boxes), _columns(others)
    shared = _area(jnp.maximum(x1, u1), jnp.maximum(y1, v1), jnp.minimum(x2, u2), jnp.minimum(y2, v2))
    return shared, _area(x1, y1, x2, y2) + _area(u1, v1, u2, v2) - shared


def _ratio(part, whole):
    """part / whole, 0 where whole is 0, without a NaN in the gradient."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), 0)
