from itertools import pairwise

import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import bars

SERIES = {"batch": ([0.9, 0.5, 0.8], [0.01, 0.2, 0.0]), "layer": ([0.85, 0.625, np.nan], None)}
CATEGORIES = ("source", "target", "adapted")


def draw(series=SERIES, categories=CATEGORIES, **options):
    return bars(series, categories, y_label="accuracy", **options)


def test_bars_are_as_high_as_the_numbers_and_do_not_overlap():
    (axes,) = draw().axes
    boxes = [patch.get_bbox() for patch in axes.patches]
    np.testing.assert_array_equal([box.y1 for box in boxes], [0.9, 0.5, 0.8, 0.85, 0.625, np.nan])
    places = sorted((box.x0, box.x1) for box in boxes if np.isfinite(box.y1))
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
    centres = [(box.x0 + box.x1) / 2 for box in boxes]
    np.testing.assert_allclose(np.add(centres[:2], centres[3:5]) / 2, [0, 1], atol=1e-12)
    assert centres[2] == pytest.approx(2)  # alone in its group
    assert axes.get_ylabel() == "accuracy"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(CATEGORIES)


def test_deviations_are_drawn_around_the_tops():
    (axes,) = draw().axes
    first, _ = (collection.get_segments() for collection in axes.collections)
    np.testing.assert_allclose([segment[:, 1] for segment in first], [(0.89, 0.91), (0.3, 0.7), (0.8, 0.8)])


def test_every_bar_has_its_number_above_its_deviation():
    (axes,) = draw(format=".2f").axes
    assert [text.get_text() for text in axes.texts] == ["0.90", "0.50", "0.80", "0.85", "0.62"]
    assert axes.texts[1].xy[1] == pytest.approx(0.7)


def test_a_category_may_have_two_lines():
    narrow, wide = (draw(categories=("a", name, "c")).get_size_inches()[0] for name in ("w" * 30 + "\nb", "w" * 60))
    assert narrow < wide


def test_several_series_are_named():
    (legend,) = draw().legends
    assert [text.get_text() for text in legend.get_texts()] == ["batch", "layer"]
    assert not draw({"batch": SERIES["batch"]}).legends


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ({}, "series: empty"),
        ({"a": ([1, 2], None)}, r"series 'a': heights and deviations of shapes \(2,\)"),
        ({"a": ([1, 2, 3], [1, 2])}, r"expected \(3,\)"),
    ],
)
def test_other_shapes_are_refused(series, message):
    with pytest.raises(InputError, match=message):
        draw(series)
