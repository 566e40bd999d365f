import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops import boxes as ops
from tests.ops.numerics import assert_close, assert_differentiates, compiled, values_and_gradients

RANDOM = settings(max_examples=300, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = [(), (6,), (2, 3)]
HEIGHT, WIDTH = 9, 7

clip = functools.partial(ops.clip, height=HEIGHT, width=WIDTH)


def draw_pairs(shape, seed):
    """Two arrays [*shape, 4] of boxes. No two x of a pair are near, nor any is near 0 or WIDTH; so for y."""
    rng = np.random.default_rng(seed)
    levels = np.tile(np.arange(-3, 11), (2, *shape, 1))
    x, y = rng.permuted(levels, axis=-1)[..., :4] + rng.uniform(0.1, 0.9, (2, *shape, 4))
    x, y = (np.sort(line.reshape(*shape, 2, 2)) for line in (x, y))
    pairs = np.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], axis=-1)
    return pairs[..., 0, :].astype(np.float32), pairs[..., 1, :].astype(np.float32)


def linear(matrix):
    return lambda boxes: jnp.stack([sum(m * boxes[..., i] for i, m in enumerate(row)) for row in matrix], axis=-1)


def plain_area(boxes):
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def plain_overlap(boxes, others):
    corners = jnp.maximum(boxes[..., :2], others[..., :2]), jnp.minimum(boxes[..., 2:], others[..., 2:])
    shared = jnp.prod(jax.nn.relu(corners[1] - corners[0]), axis=-1)
    return shared, plain_area(boxes) + plain_area(others) - shared


def plain_iou(boxes, others):
    return jnp.divide(*plain_overlap(boxes, others))


def plain_giou(boxes, others):
    shared, union = plain_overlap(boxes, others)
    corners = jnp.minimum(boxes[..., :2], others[..., :2]), jnp.maximum(boxes[..., 2:], others[..., 2:])
    hull = plain_area(jnp.concatenate(corners, axis=-1))
    return shared / union - 1 + union / hull


def plain_clip(boxes):
    limits = jnp.broadcast_to(jnp.array([WIDTH, HEIGHT, WIDTH, HEIGHT], boxes.dtype), boxes.shape)
    return jnp.minimum(jax.nn.relu(boxes), limits)


OF_ONE = {
    ops.area: plain_area,
    clip: plain_clip,
    ops.xyxy_to_xywh: linear([[1, 0, 0, 0], [0, 1, 0, 0], [-1, 0, 1, 0], [0, -1, 0, 1]]),
    ops.xywh_to_xyxy: linear([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1]]),
    ops.xyxy_to_cxcywh: linear([[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [-1, 0, 1, 0], [0, -1, 0, 1]]),
    ops.cxcywh_to_xyxy: linear([[1, 0, -0.5, 0], [0, 1, 0, -0.5], [1, 0, 0.5, 0], [0, 1, 0, 0.5]]),
}
OF_PAIRS = {ops.iou: plain_iou, ops.giou: plain_giou}


@compiled
def everything(boxes, others):
    """Values and gradients of all operators, and of their references."""
    of_one = [values_and_gradients(operator, boxes) for pair in OF_ONE.items() for operator in pair]
    of_pairs = [values_and_gradients(operator, boxes, others) for pair in OF_PAIRS.items() for operator in pair]
    return of_one + of_pairs


@RANDOM
@given(shape=st.sampled_from(SHAPES), seed=SEEDS)
def test_values_and_gradients_equal_the_plain_formulas(shape, seed):
    results = everything(*draw_pairs(shape, seed))
    assert_close(results[::2], results[1::2])


@pytest.mark.parametrize("operator", OF_ONE)
def test_derivatives(operator):
    boxes, _ = draw_pairs((300,), seed=0)
    assert_differentiates(operator, boxes)


@pytest.mark.parametrize("operator", OF_PAIRS)
def test_derivatives_of_overlaps(operator):
    assert_differentiates(operator, *draw_pairs((300,), seed=0))


def inside(box, height, width):
    y, x = np.mgrid[:height, :width]
    return (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])


@RANDOM
@given(seed=SEEDS)
def test_areas_and_overlaps_count_pixels(seed):
    boxes = np.random.default_rng(seed).integers(0, 7, (4, 4)).astype(np.float32)  # many are empty
    area, matrix = areas_and_matrix(boxes)
    pixels = [inside(box, 7, 7) for box in boxes]
    np.testing.assert_array_equal(area, [mask.sum() for mask in pixels])
    expected = [[(a & b).sum() / max((a | b).sum(), 1) for b in pixels] for a in pixels]
    np.testing.assert_allclose(matrix, expected, atol=1e-7)


@compiled
def areas_and_matrix(boxes):
    return ops.area(boxes), ops.iou_matrix(boxes, boxes)


@RANDOM
@given(seed=SEEDS)
def test_matrix_and_gradients_equal_pair_by_pair(seed):
    assert_close(*both_matrices(*draw_pairs((2, 3), seed)))


@compiled
def both_matrices(boxes, others):
    def one_by_one(boxes, others):
        rows = [[plain_iou(boxes[:, i], others[:, j]) for j in range(2)] for i in range(3)]
        return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)

    others = others[:, :2]
    return [values_and_gradients(function, boxes, others) for function in (ops.iou_matrix, one_by_one)]


BOX = [2.0, 3.0, 6.0, 5.0]


OTHERS_AND_OVERLAPS = [  # other box, IoU, generalised IoU
    (BOX, 1, 1),
    ([4.0, 3.0, 8.0, 5.0], 1 / 3, 1 / 3),
    ([6.0, 3.0, 10.0, 5.0], 0, 0),  # touches
    ([8.0, 3.0, 10.0, 5.0], 0, -4 / 16),  # apart
    ([3.0, 4.0, 3.0, 4.0], 0, 0),  # a point inside
    ([6.0, 6.0, 6.0, 6.0], 0, -4 / 12),  # a point outside
    ([5.0, 4.0, 3.0, 4.0], 0, 0),  # inside out
]


@compiled
def overlaps_and_gradients(boxes, others):
    return [values_and_gradients(operator, boxes, others) for operator in OF_PAIRS]


def test_overlaps_by_hand():
    others, *expected = (np.array(column) for column in zip(*OTHERS_AND_OVERLAPS))
    boxes = np.broadcast_to(BOX, others.shape)
    with jax.debug_nans(True):
        for pair in ((boxes, others), (others, boxes)):
            for (overlaps, gradients), by_hand in zip(overlaps_and_gradients(*pair), expected):
                np.testing.assert_allclose(overlaps, by_hand, atol=1e-6)
                assert np.isfinite(gradients).all()


def test_equal_points_do_not_overlap():
    points = jnp.array([[0.0] * 4, [2.0, 3.0, 2.0, 3.0]])
    with jax.debug_nans(True):
        for overlaps, gradients in overlaps_and_gradients(points, points):
            assert (overlaps == 0).all() and np.isfinite(gradients).all()


def test_an_empty_box_can_grow():
    np.testing.assert_array_equal(jax.grad(ops.area)(jnp.array([1.0, 1, 1, 3])), [-2, 0, 2, 0])
    np.testing.assert_array_equal(jax.grad(ops.area)(jnp.array([1.0, 1, 0, 3])), [0, 0, 0, 0])


@pytest.mark.parametrize(
    ("dtype", "expected"), [("bfloat16", "bfloat16"), ("float32", "float32"), ("int32", "float32")]
)
def test_dtypes(dtype, expected):
    boxes = jnp.array([BOX, [300.0, 301, 303, 303]], dtype)
    for operator in OF_ONE:
        assert operator(boxes).dtype == expected
    for operator in (ops.iou, ops.giou, ops.iou_matrix):
        out = operator(boxes, boxes)
        assert out.dtype == expected
    np.testing.assert_array_equal(out, np.eye(2))


def test_images_of_different_sizes():
    boxes = jnp.array([[[-1.0, -2, 5, 9]], [[1.0, 2, 5, 9]]])
    clipped = jax.vmap(ops.clip)(boxes, jnp.array([4, 8]), jnp.array([3, 10]))
    np.testing.assert_array_equal(clipped, [[[0, 0, 3, 4]], [[1, 2, 5, 8]]])


@pytest.mark.parametrize("operator", [*OF_ONE, lambda boxes: ops.iou(boxes, boxes)])
def test_boxes_have_four_numbers(operator):
    with pytest.raises(InputError, match=r"boxes of shape \[3, 5\], expected \[..., 4\]"):
        operator(jnp.zeros((3, 5)))


@pytest.mark.parity
@RANDOM
@given(seed=SEEDS)
def test_everything_equals_torchvision(seed):
    import torch

    from scripts.benchmarks.torch_oracle import torchvision_and_operators

    theirs = torchvision_and_operators()[0].ops
    arrays = draw_pairs((6,), seed)
    tensors = [torch.from_numpy(array).requires_grad_() for array in arrays]

    def conversion(start, end):
        return lambda boxes: theirs.box_convert(boxes, start, end)

    of_one = [
        theirs.box_area,
        lambda boxes: theirs.clip_boxes_to_image(boxes, (HEIGHT, WIDTH)),
        conversion("xyxy", "xywh"),
        conversion("xywh", "xyxy"),
        conversion("xyxy", "cxcywh"),
        conversion("cxcywh", "xyxy"),
    ]
    of_pairs = [
        lambda *boxes: theirs.box_iou(*boxes).diagonal(),
        lambda *boxes: theirs.generalized_box_iou(*boxes).diagonal(),
    ]
    expected = [torch_values_and_gradients(operator, tensors[0]) for operator in of_one]
    expected += [torch_values_and_gradients(operator, *tensors) for operator in of_pairs]
    assert_close(everything(*arrays)[::2], expected)
    np.testing.assert_allclose(ops.iou_matrix(*arrays), theirs.box_iou(*tensors).detach(), atol=1e-6)


def torch_values_and_gradients(function, *tensors):
    import torch

    out = function(*tensors)
    cotangent = torch.cos(torch.arange(out.numel(), dtype=out.dtype)).reshape(out.shape)
    return out.detach(), torch.autograd.grad(out, tensors, cotangent)
