import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import bubbles

LABELS = {"x_label": "multiply-adds", "y_label": "accuracy", "size_label": "parameters"}

PLAIN = {"", "0.1", "0.2", "0.5", "1", "2", "5", "10"}


def test_discs_lie_and_are_as_large_as_told_the_largest_below():
    figure = bubbles(["a", "b"], [1.0, 10.0], [0.5, 0.7], [1, 4], **LABELS, log_x=True)
    (axes,) = figure.axes
    (discs,) = axes.collections
    np.testing.assert_array_equal(discs.get_offsets(), [(10, 0.7), (1, 0.5)])
    large, small = discs.get_sizes()
    assert large == pytest.approx(4 * small)
    assert [(text.get_text(), text.xy) for text in axes.texts[1:]] == [("b", (10, 0.7)), ("a", (1, 0.5))]
    assert axes.texts[0].get_text() == "parameters" and axes.get_xscale() == "log"


def test_a_logarithmic_axis_has_plain_numbers():
    figure = bubbles(["a", "b"], [0.4, 2.0], [0.5, 0.7], [1, 4], **LABELS, log_x=True)
    figure.draw_without_rendering()
    assert {"0.5", "1", "2"} <= {label.get_text() for label in figure.axes[0].get_xticklabels()} <= PLAIN


def test_names_of_neighbours_do_not_overlap():
    names = ["below", "above", "left", "right", "far"]
    figure = bubbles(names, [1, 1.001, 1.002, 1.003, 9], [1, 1, 1, 1, 2], [1] * 5, **LABELS)
    figure.draw_without_rendering()
    texts = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    assert texts["left"].x1 < texts["right"].x0 and texts["below"].y1 < texts["right"].y0 < texts["above"].y0
    boxes = list(texts.values())
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[:i])


@pytest.mark.parametrize(
    ("names", "arrays", "message"),
    [
        ([], ([], [], []), "at least one"),
        (["a"], ([1, 2], [1], [1]), "expected a number for each of 1 names"),
        (["a"], ([np.nan], [1], [1]), "expected finite numbers"),
        (["a"], ([1], [1], [0]), "sizes above 0"),
    ],
)
def test_what_can_not_be_drawn(names, arrays, message):
    with pytest.raises(InputError, match=message):
        bubbles(names, *arrays, **LABELS)
