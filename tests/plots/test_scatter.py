import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import scatter

LABELS = {"x_label": "learning rate", "y_label": "weight decay", "label": "loss"}


def test_dots_values_and_the_circle_lie_where_they_were_measured():
    x, y, values = [0.1, 1.0, 10.0], [1.0, 2.0, 3.0], [0.5, 0.25, np.nan]
    figure = scatter(x, y, values, **LABELS, log_x=True, format="{:.2f}", circled=1)
    axes, bar = figure.axes
    dots, crosses, circle = axes.collections
    np.testing.assert_array_equal(dots.get_offsets(), [(0.1, 1), (1, 2)])
    np.testing.assert_array_equal(dots.get_array(), [0.5, 0.25])
    np.testing.assert_array_equal(crosses.get_offsets(), [(10, 3)])
    np.testing.assert_array_equal(circle.get_offsets(), [(1, 2)])
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("0.50", (0.1, 1)), ("0.25", (1, 2))]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert [axes.xaxis.get_major_formatter()(tick) for tick in axes.get_xticks()] == ["0.1", "1", "10"]
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == ("learning rate", "weight decay", "loss")


@pytest.mark.parametrize("arrays", [([], [], []), ([1], [1, 2], [1]), ([[1]], [[1]], [[1]])])
def test_other_shapes(arrays):
    with pytest.raises(InputError, match=r"expected all \[N\]"):
        scatter(*arrays, **LABELS)
