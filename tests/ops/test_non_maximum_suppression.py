import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops.non_maximum_suppression import non_maximum_suppression
from tests.ops.numerics import compiled

RANDOM = settings(max_examples=300, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
COUNTS = [1, 6, 17]
MAX_OUTPUTS = [1, 5, 20]


def draw(count, seed):
    """Crowded boxes, some of them twice, and scores with ties, padding and NaN."""
    rng = np.random.default_rng(seed)
    corner, sides = rng.integers(0, 12, (count, 2)), rng.integers(0, 9, (count, 2))
    boxes = np.concatenate([corner, corner + sides], axis=-1).astype(np.float32)
    boxes[rng.random(count) < 0.2] = boxes[0]
    scores = rng.integers(0, 10, count).astype(np.float32) / 10
    scores[rng.random(count) < 0.1] = -np.inf
    scores[rng.random(count) < 0.1] = np.nan
    return boxes, scores, rng.integers(0, 3, count)


def overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0


def greedy(boxes, scores, classes, iou_threshold, score_threshold):
    """Indices of the boxes that survive, as one would do it by hand."""
    kept = []
    candidates = [i for i in range(len(boxes)) if scores[i] > score_threshold]
    for candidate in sorted(candidates, key=lambda i: (-scores[i], i)):
        rivals = [i for i in kept if classes[i] == classes[candidate]]
        if all(overlap(boxes[i], boxes[candidate]) <= iou_threshold for i in rivals):
            kept.append(candidate)
    return kept


@functools.cache
def ours(max_outputs):
    return compiled(functools.partial(non_maximum_suppression, max_outputs=max_outputs))


@RANDOM
@given(
    count=st.sampled_from(COUNTS), max_outputs=st.sampled_from(MAX_OUTPUTS), class_aware=st.booleans(),
    iou_threshold=st.sampled_from([0, 0.15, 0.37, 0.71, 1]), score_threshold=st.sampled_from([-np.inf, 0.25]),
    seed=SEEDS,
)  # fmt: skip
def test_the_boxes_kept_are_those_of_the_greedy_loop(
    count, max_outputs, class_aware, iou_threshold, score_threshold, seed
):
    boxes, scores, classes = draw(count, seed)
    classes = classes if class_aware else None
    indices, valid = ours(max_outputs)(
        boxes, scores, classes=classes, iou_threshold=iou_threshold, score_threshold=score_threshold
    )
    assert (indices.dtype, valid.dtype) == (jnp.int32, bool)
    classes = np.zeros(count) if classes is None else classes
    expected = greedy(boxes, scores, classes, iou_threshold, score_threshold)[:max_outputs]
    padding = [0] * (max_outputs - len(expected))
    np.testing.assert_array_equal(indices, expected + padding)
    np.testing.assert_array_equal(valid, np.arange(max_outputs) < len(expected))


def test_by_hand():
    boxes = jnp.array([[0.0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10], [1, 0, 11, 10]])
    scores = jnp.array([0.5, 0.9, 0.1, 0.7])
    run = functools.partial(non_maximum_suppression, boxes, scores, max_outputs=4)
    # Box 0 overlaps box 1 by exactly 0.5 and box 3 by 9 / 11, box 3 overlaps box 1 by 45 / 105.
    for threshold, kept in ((0.5, [1, 3, 2, 0]), (0.49, [1, 3, 2, 0]), (0.42, [1, 2, 0, 0]), (0.9, [1, 3, 0, 2])):
        indices, valid = run(iou_threshold=threshold)
        np.testing.assert_array_equal(indices, kept)
    assert valid.all()
    indices, valid = run(iou_threshold=0.0, classes=jnp.array([1, 2, 1, 1]))
    np.testing.assert_array_equal(indices, [1, 3, 2, 0])
    np.testing.assert_array_equal(valid, [True, True, True, False])


def test_an_overlap_equal_to_the_threshold_survives():
    boxes, scores = jnp.array([[0.0, 0, 10, 10], [0, 0, 10, 5]]), jnp.array([0.5, 0.9])
    for threshold, survivors in ((0.5, 2), (0.4999, 1)):
        valid = non_maximum_suppression(boxes, scores, iou_threshold=threshold, max_outputs=2)[1]
        assert valid.sum() == survivors


def test_images_side_by_side():
    images = [draw(17, seed)[:2] for seed in range(5)]
    run = functools.partial(non_maximum_suppression, iou_threshold=0.3, max_outputs=20)
    together = compiled(jax.vmap(run))(*map(np.stack, zip(*images)))
    for ours_together, alone in zip(zip(*together), (run(*image) for image in images)):
        np.testing.assert_array_equal(ours_together, alone)


def test_gradients_are_zero_not_an_error():
    boxes, scores, _ = draw(6, 0)

    def best_side(boxes, scores):
        indices, valid = non_maximum_suppression(boxes, scores, iou_threshold=0.5, max_outputs=3)
        return jnp.sum(jnp.where(valid, boxes[indices, 2], 0))

    indices, valid = non_maximum_suppression(boxes, scores, iou_threshold=0.5, max_outputs=3)
    by_box, by_score = jax.grad(best_side, (0, 1))(jnp.asarray(boxes), jnp.asarray(scores))
    expected = np.zeros((6, 4))
    expected[np.asarray(indices)[np.asarray(valid)], 2] = 1
    np.testing.assert_array_equal(by_box, expected)
    np.testing.assert_array_equal(by_score, np.zeros(6))


def test_half_precision_decides_as_its_boxes_in_single():
    boxes, scores, _ = draw(17, 1)
    halves = jnp.asarray(boxes * 1.01, jnp.bfloat16), jnp.asarray(scores, jnp.bfloat16)
    wide = [half.astype(jnp.float32) for half in halves]
    for ours_half, ours_wide in zip(*(ours(20)(*arrays, iou_threshold=0.3) for arrays in (halves, wide))):
        np.testing.assert_array_equal(ours_half, ours_wide)


def test_memory_grows_with_the_boxes_not_with_their_pairs():
    shapes = jax.ShapeDtypeStruct((4000, 4), jnp.float32), jax.ShapeDtypeStruct((4000,), jnp.float32)
    lowered = non_maximum_suppression.lower(*shapes, iou_threshold=0.5, max_outputs=1000, classes=None)
    assert lowered.compile().memory_analysis().temp_size_in_bytes < 4000 * 100


@pytest.mark.parametrize(("boxes", "scores"), [((0, 4), (0,)), ((3, 4), (4,)), ((2, 3, 4), (2, 3))])
def test_impossible_shapes(boxes, scores):
    with pytest.raises(InputError, match="with N > 0"):
        non_maximum_suppression(jnp.zeros(boxes), jnp.zeros(scores), iou_threshold=0.5, max_outputs=3)
