import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops.anchors import anchor_shapes, grid_anchors

RANDOM = settings(max_examples=300, deadline=None, derandomize=True)
GRIDS = [(1, 1), (2, 3), (4, 2)]
SIDES = st.integers(4, 999)
RATIOS = st.lists(st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0]), min_size=2, max_size=2, unique=True)
SIZES = st.lists(st.integers(1, 600), min_size=2, max_size=2)


@RANDOM
@given(
    grid=st.sampled_from(GRIDS), height=st.integers(4, 999), width=st.integers(4, 999), sizes=SIZES, ratios=RATIOS
)
def test_anchors_have_their_places_areas_and_ratios(grid, height, width, sizes, ratios):
    anchors = np.asarray(grid_anchors((height, width), grid, sizes_px=sizes, aspect_ratios=ratios))
    rows, columns = grid
    assert (anchors.shape, anchors.dtype) == ((rows * columns * 4, 4), np.float32)
    expected = [
        (column * (width // columns), row * (height // rows), size, ratio)
        for row in range(rows)
        for column in range(columns)
        for ratio in ratios
        for size in sizes
    ]
    for (x1, y1, x2, y2), (x, y, size, ratio) in zip(anchors, expected):
        assert ((x1 + x2) / 2, (y1 + y2) / 2) == (x, y)
        # A corner is rounded by half a pixel at most, so a side by one.
        assert abs((x2 - x1) - size / ratio**0.5) <= 1.001 and abs((y2 - y1) - size * ratio**0.5) <= 1.001


def test_shapes_by_hand():
    shapes = anchor_shapes([128, 256], [0.5, 1, 2])
    np.testing.assert_array_equal(
        shapes[::2],  # 128 sqrt(2) / 2 = 90.51, 128 / sqrt(2) / 2 = 45.25
        [[-91, -45, 91, 45], [-64, -64, 64, 64], [-45, -91, 45, 91]],
    )
    np.testing.assert_array_equal(shapes[1], [-181, -91, 181, 91])


def test_halves_round_to_even():
    np.testing.assert_array_equal(anchor_shapes([1, 3, 5], [1])[:, 2], [0, 2, 2])


@pytest.mark.parametrize("grid", [(0, 2), (9, 2), (2, 9)])
def test_grids_that_do_not_fit(grid):
    with pytest.raises(InputError, match="does not fit an image of 8x8"):
        grid_anchors((8, 8), grid, sizes_px=[4])


@pytest.mark.parity
@RANDOM
@given(
    grids=st.lists(st.sampled_from(GRIDS), min_size=1, max_size=2),
    height=SIDES, width=SIDES, sizes=SIZES, ratios=RATIOS,
)  # fmt: skip
def test_anchors_equal_torchvision(grids, height, width, sizes, ratios):
    import torch

    from scripts.benchmarks.torch_oracle import torchvision_and_operators

    detection = torchvision_and_operators()[0].models.detection
    generator = detection.anchor_utils.AnchorGenerator((tuple(sizes),) * len(grids), (tuple(ratios),) * len(grids))
    images = detection.image_list.ImageList(torch.empty(1, 3, height, width), [(height, width)])
    (expected,) = generator(images, [torch.empty(1, 1, *grid) for grid in grids])
    ours = [grid_anchors((height, width), grid, sizes_px=sizes, aspect_ratios=ratios) for grid in grids]
    np.testing.assert_array_equal(np.concatenate(ours), expected)
