"""Greedy non-maximum suppression with a fixed number of outputs, so that it compiles and maps over images."""

import functools

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.ops.boxes import iou


@functools.partial(jax.jit, static_argnames="max_outputs")
def non_maximum_suppression(
    boxes: jax.Array,
    scores: jax.Array,
    *,
    iou_threshold: float,
    max_outputs: int,
    score_threshold: float = -jnp.inf,
    classes: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Keep the box of the highest score, drop those that overlap it too much, and so on with what remains.

    boxes [N, 4] (xyxy) and scores [N] -> indices [max_outputs] (int32) in order of falling score, and valid
    [max_outputs] (bool): slots that no box fills come last, have index 0 and are not valid. Of equal scores the
    first wins. Boxes are dropped where IoU > iou_threshold, and never chosen where the score is NaN or not above
    score_threshold, so a score of -inf marks padding. With integer classes [N] only boxes of the same class
    suppress each other (what torchvision calls batched_nms; the levels of a pyramid are classes too).

    Memory is O(N), time O(N) for every box kept. No gradient passes. Raises InputError if the shapes disagree or
    there is no box.
    """
    if boxes.ndim != 2 or scores.shape != boxes.shape[:1] or len(boxes) == 0:
        raise InputError(
            f"non-maximum suppression: boxes {list(boxes.shape)} and scores {list(scores.shape)}, "
            "expected [N, 4] and [N] with N > 0"
        )
    boxes, scores = jax.lax.stop_gradient((boxes, scores))
    scores = jnp.where(scores > score_threshold, scores, -jnp.inf)
    order = jnp.argsort(scores, descending=True)  # stable
    boxes = boxes[order]
    classes = jnp.zeros(order.shape, int) if classes is None else classes[order]
    none_left = len(order)  # in place of the rank of a box that may no longer be chosen

    def unfinished(state):
        candidates, _, kept = state
        return (kept < max_outputs) & (candidates.min() < none_left)

    def keep_best(state):
        candidates, places, kept = state
        best = candidates.min()
        dropped = (iou(boxes[best][None], boxes) > iou_threshold) & (classes == classes[best])
        candidates = jnp.where(dropped, none_left, candidates).at[best].set(none_left)
        return candidates, places.at[kept].set(best), kept + 1

    candidates = jnp.where(scores[order] > -jnp.inf, jnp.arange(none_left), none_left)
    start = (candidates, jnp.zeros(max_outputs, int), 0)
    _, places, kept = jax.lax.while_loop(unfinished, keep_best, start)
    valid = jnp.arange(max_outputs) < kept
    return jnp.where(valid, order[places], 0).astype(jnp.int32), valid
