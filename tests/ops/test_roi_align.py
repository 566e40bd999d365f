import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops.roi_align import roi_align
from tests.ops.numerics import assert_close, assert_differentiates, compiled, values_and_gradients

RANDOM = settings(max_examples=300, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
OPTIONS = [
    dict(output_size=(2, 3), sampling_ratio=1, aligned=False),
    dict(output_size=(2, 2), sampling_ratio=2, aligned=False),
    dict(output_size=(1, 2), sampling_ratio=3, aligned=True),
    dict(output_size=(3, 1), sampling_ratio=2, aligned=True),
]
SCALES = [1.0, 0.25]
BATCH, HEIGHT, WIDTH, CHANNELS, BOXES = 2, 5, 4, 2, 3


def draw(scale, seed, reach=3):
    """Features, and boxes of which the centre may lie `reach` cells outside the map."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(BATCH, HEIGHT, WIDTH, CHANNELS)).astype(np.float32)
    centres = rng.uniform(-reach, (WIDTH + reach, HEIGHT + reach), (BATCH, BOXES, 2))
    sides = rng.uniform(0, 5, (BATCH, BOXES, 2))
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1) / scale
    return features, boxes.astype(np.float32)


def sample_places(start, end, bins, samples, aligned):
    """[bins, samples] along one axis."""
    length = end - start if aligned else max(end - start, 1)
    size = length / bins
    return [[start - 0.5 * aligned + (b + (s + 0.5) / samples) * size for s in range(samples)] for b in range(bins)]


def cells_between(place, cells):
    """(index, weight) of the cells that make the value at a place."""
    if not -1 <= place <= cells:
        return []
    place = min(max(place, 0), cells - 1)
    lower = int(place)
    upper = min(lower + 1, cells - 1)
    return [(lower, 1 - (place - lower)), (upper, place - lower)]


def weights_of_cells(boxes, *, output_size, sampling_ratio, aligned):
    """[B, N, h, w, H, W]: what each cell of the map adds to each bin, one sample after the other."""
    weights = np.zeros((*boxes.shape[:2], *output_size, HEIGHT, WIDTH))
    for image, box in np.ndindex(boxes.shape[:2]):
        x1, y1, x2, y2 = boxes[image, box].astype(np.float64)
        rows = sample_places(y1, y2, output_size[0], sampling_ratio, aligned)
        columns = sample_places(x1, x2, output_size[1], sampling_ratio, aligned)
        for i, j in np.ndindex(*output_size):
            for y, x in itertools.product(rows[i], columns[j]):
                for (row, a), (column, b) in itertools.product(cells_between(y, HEIGHT), cells_between(x, WIDTH)):
                    weights[image, box, i, j, row, column] += a * b / sampling_ratio**2
    return weights


@functools.cache
def values_and_gradients_by_features(scale, option):
    @compiled
    def run(features, boxes):
        align = functools.partial(roi_align, spatial_scale=scale, **OPTIONS[option])
        return values_and_gradients(lambda features: align(features, boxes), features)

    return run


@RANDOM
@given(scale=st.sampled_from(SCALES), option=st.sampled_from(range(len(OPTIONS))), seed=SEEDS)
def test_values_and_gradients_equal_a_loop_over_samples(scale, option, seed):
    features, boxes = draw(scale, seed)
    weights = weights_of_cells(boxes * np.float32(scale), **OPTIONS[option])
    expected = np.einsum("bnijhw,bhwc->bnijc", weights, features)
    cotangent = np.cos(np.arange(expected.size)).reshape(expected.shape)
    gradient = np.einsum("bnijhw,bnijc->bhwc", weights, cotangent)
    assert_close(values_and_gradients_by_features(scale, option)(features, boxes), (expected, (gradient,)))


def boxes_without_kinks(count, scale, rng, *, output_size, sampling_ratio, aligned):
    """Boxes [count, 4] none of whose samples is near a cell's centre, and none about one cell long."""
    boxes = []
    while len(boxes) < count:
        x1, y1 = rng.uniform(-1, 3, 2)
        x2, y2 = x1 + rng.uniform(0.2, 3), y1 + rng.uniform(0.2, 3)
        rows = sample_places(y1, y2, output_size[0], sampling_ratio, aligned)
        columns = sample_places(x1, x2, output_size[1], sampling_ratio, aligned)
        places = np.array([*np.ravel(rows), *np.ravel(columns), x2 - x1, y2 - y1])
        if (np.abs(places - np.round(places)) > 0.01).all():
            boxes.append([x1 / scale, y1 / scale, x2 / scale, y2 / scale])
    return np.array(boxes)


@pytest.mark.parametrize("options", OPTIONS)
def test_derivatives(options):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(75, HEIGHT, WIDTH, 1))
    boxes = boxes_without_kinks(75, 0.25, rng, **options).reshape(75, 1, 4)
    assert_differentiates(functools.partial(roi_align, spatial_scale=0.25, **options), features, boxes)


def test_a_plane_is_sampled_at_the_centres_of_the_bins():
    y, x = np.mgrid[:8, :10].astype(np.float32)
    plane = jnp.array(2 * y + 3 * x + 1)[None, :, :, None]
    box = jnp.array([[[2.0, 1, 6, 5]]])
    (centres,) = roi_align(plane, box, (2, 2))[..., 0]
    np.testing.assert_allclose(centres[0], [[14, 20], [18, 24]])  # at y 2 and 4, x 3 and 5
    (centres,) = roi_align(plane, box, (2, 2), aligned=True)[..., 0]
    np.testing.assert_allclose(centres[0], [[11.5, 17.5], [15.5, 21.5]])  # half a cell up and left
    whole = jnp.array([[[0.0, 0, 10, 8]]])
    assert_close(roi_align(plane, whole, (8, 10), sampling_ratio=1, aligned=True)[0], plane)


def test_small_boxes_outside_and_half_precision():
    features = jnp.ones((1, 4, 4, 3), jnp.bfloat16)
    boxes = jnp.array([[[1.0, 1, 1, 1], [-1, -1, 0, 0], [9, 9, 12, 12], [-5, -5, -3, -3]]])
    out = roi_align(features, boxes, (1, 1))
    assert out.dtype == jnp.bfloat16
    np.testing.assert_array_equal(out[0, :, 0, 0, 0], [1, 1, 0, 0])
    with jax.debug_nans(True):
        gradient = jax.grad(lambda boxes: roi_align(features, boxes, (1, 1)).sum().astype(float))(boxes)
    np.testing.assert_array_equal(gradient, jnp.zeros((1, 4, 4)))


def test_memory_does_not_hold_all_samples_at_once():
    shapes = jax.ShapeDtypeStruct((1, 32, 32, 64), jnp.float32), jax.ShapeDtypeStruct((1, 500, 4), jnp.float32)
    lowered = jax.jit(functools.partial(roi_align, output_size=(7, 7))).lower(*shapes)
    out_bytes = 500 * 7 * 7 * 64 * 4
    assert lowered.compile().memory_analysis().temp_size_in_bytes < 2 * out_bytes


@pytest.mark.parametrize(
    ("features", "boxes", "ratio"),
    [((1, 5, 5, 2), (1, 3, 4), -1), ((1, 5, 5, 2), (3, 4), 2), ((2, 5, 5, 2), (1, 3, 4), 2)],
)
def test_impossible_input(features, boxes, ratio):
    with pytest.raises(InputError, match=r"RoI align: .* expected"):
        roi_align(jnp.zeros(features), jnp.zeros(boxes), (2, 2), sampling_ratio=ratio)


@functools.cache
def values_and_all_gradients(scale, option):
    align = functools.partial(roi_align, spatial_scale=scale, **OPTIONS[option])
    return compiled(functools.partial(values_and_gradients, align))


@pytest.mark.parity
@RANDOM
@given(scale=st.sampled_from(SCALES), option=st.sampled_from(range(len(OPTIONS))), seed=SEEDS)
def test_values_and_gradients_equal_torchvision(scale, option, seed):
    import torch

    from scripts.benchmarks.torch_oracle import torchvision_and_operators

    # The Python form of its compiled operator; it does not zero samples outside the map, so there are none.
    align = torchvision_and_operators()[0].ops.roi_align.__globals__["_roi_align"].__wrapped__
    features, boxes = draw(scale, seed)
    boxes = np.clip(boxes, 0, np.tile([WIDTH - 1, HEIGHT - 1], 2) / scale).astype(np.float32)
    tensors = torch.from_numpy(features).requires_grad_(), torch.from_numpy(boxes).requires_grad_()
    images = torch.arange(BATCH).repeat_interleave(BOXES)
    rows = torch.cat([images[:, None], tensors[1].reshape(-1, 4)], dim=1)
    (height, width), ratio, aligned = OPTIONS[option].values()
    out = align(tensors[0].permute(0, 3, 1, 2), rows, scale, height, width, ratio, aligned)
    out = out.permute(0, 2, 3, 1).reshape(BATCH, BOXES, height, width, CHANNELS)
    cotangent = torch.cos(torch.arange(out.numel(), dtype=torch.float32)).reshape(out.shape)
    expected = (out.detach(), torch.autograd.grad(out, tensors, cotangent))
    assert_close(values_and_all_gradients(scale, option)(features, boxes), expected)
