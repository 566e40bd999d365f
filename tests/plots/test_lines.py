import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import lines, small_multiples
from jaxvision.plots.lines import _apart

AXES = {"x_label": "depth", "y_label": "gradient norm"}


def texts(axes):
    return [text.get_text() for text in axes.texts]


def data_lines(axes):
    return [line for line in axes.lines if line.get_transform().contains_branch(axes.transData)]


def test_lines_are_the_series():
    (axes,) = lines({"tanh": ([1, 2, 3], [3.0, 2.0, 1.0]), "relu": ([1, 3], [4.0, 4.0])}, **AXES).axes
    first, second = data_lines(axes)
    np.testing.assert_array_equal(first.get_xydata(), [(1, 3), (2, 2), (3, 1)])
    np.testing.assert_array_equal(second.get_xydata(), [(1, 4), (3, 4)])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("depth", "gradient norm")
    assert first.get_color() != second.get_color()


@pytest.mark.parametrize(
    ("spread", "low", "high"),
    [([0.5, 1.0], [0.5, 1.0], [1.5, 3.0]), ([[0.0, 1.5], [4.0, 2.5]], [0.0, 1.5], [4.0, 2.5])],
)
def test_a_spread_is_a_band_around_its_line(spread, low, high):
    (axes,) = lines({"loss": ([1, 2], [1.0, 2.0], spread)}, **AXES).axes
    (band,) = axes.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
    assert corners == {(1, low[0]), (1, high[0]), (2, low[1]), (2, high[1])}


def test_names_stand_at_the_ends_in_their_order_and_apart():
    ends = {"low": 0.0, "close": 0.999, "closer": 1.0, "ended early": 0.5}
    series = {name: ([0, 1], [0.5, end]) for name, end in ends.items()} | {"ended early": ([0, 1], [0.5, np.nan])}
    (axes,) = lines(series, **AXES).axes
    places = {text.get_text(): text.xy[1] for text in axes.texts}
    assert places["low"] < places["ended early"] < places["close"] < places["closer"] <= 1
    assert places["closer"] - places["close"] > 0.05
    middle = axes.transAxes.inverted().transform(axes.transData.transform((0, 0.5)))[1]
    assert places["ended early"] == pytest.approx(middle)


def test_a_single_line_needs_no_name():
    assert texts(lines({"loss": ([1, 2], [1.0, 2.0])}, **AXES).axes[0]) == []


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([0.1, 0.5], [0.1, 0.5]),
        ([0.5, 0.5, 0.55], [0.5, 0.6, 0.7]),
        ([0.0, 0.98, 1.0], [0.0, 0.9, 1.0]),
        ([0.3] * 21, list(np.arange(21) / 20)),  # too many to keep their distance
    ],
)
def test_crowded_names_are_moved_apart(heights, expected):
    np.testing.assert_allclose(_apart(heights, 0.1), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "scales", "ticks"),
    [
        ({}, ("linear", "linear"), None),
        ({"log_x": True}, ("log", "linear"), [1, 4, 16, 64]),
        ({"log_y": True}, ("linear", "log"), None),
    ],
)
def test_scales_and_ticks(options, scales, ticks):
    (axes,) = lines({"a": ([1, 4, 16, 64], [1e-4, 1e-2, 1.0, 10.0])}, **AXES, **options).axes
    assert (axes.get_xscale(), axes.get_yscale()) == scales
    if ticks:
        np.testing.assert_array_equal(axes.get_xticks(), ticks)
    axes.figure.draw_without_rendering()
    labels = [label.get_text() for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]]
    assert not any("$" in label for label in labels)
    if options == {"log_y": True}:
        assert {"0.0001", "0.01", "1"} <= set(labels)


def test_limits_hold_and_what_diverges_is_named_at_the_top():
    series = {"high": ([0, 1, 2], [1.0, 1e30, np.inf]), "good": ([0, 1, 2], [1.0, 0.5, 0.1])}
    (axes,) = lines(series, **AXES, y_limits=(0, 2)).axes
    assert axes.get_ylim() == (0, 2)
    assert {text.get_text(): text.xy[1] for text in axes.texts} == {"high": 1.0, "good": pytest.approx(0.05)}


def test_marked_points_have_a_marker_of_their_own_each():
    (axes,) = lines({"a": ([1, 2], [1, 2]), "b": ([1, 2], [2, 1])}, **AXES, markers=True).axes
    assert [line.get_marker() for line in data_lines(axes)] == ["o", "s"]


def test_a_name_has_one_colour_in_all_panels():
    panels = {
        "sigmoid": {"f": ([0, 1], [0.5, 0.7]), "derivative": ([0, 1], [0.25, 0.2])},
        "step": {"derivative": ([0, 1], [0.0, 0.0])},
    }
    figure = small_multiples(panels, x_label="x", y_label="y")
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["sigmoid", "step"]
    assert second.lines[0].get_color() == first.lines[1].get_color() != first.lines[0].get_color()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["f", "derivative"]
    assert legend.legend_handles[1].get_color() == second.lines[0].get_color()


@pytest.mark.parametrize(("count", "columns", "shape"), [(3, None, (1, 3)), (8, None, (2, 4)), (3, 2, (2, 2))])
def test_panels_stand_in_rows_with_the_axes_named_at_the_edges(count, columns, shape):
    panels = {str(i): {"f": ([0, 1], [0.0, i])} for i in range(count)}
    axes = small_multiples(panels, x_label="x", y_label="y", columns=columns).axes
    grid = axes[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == shape
    shown = [a for a in axes if a.get_visible()]
    assert len(shown) == count
    assert [bool(a.get_xlabel()) for a in shown] == [i + shape[1] >= count for i in range(count)]
    assert [bool(a.get_ylabel()) for a in shown] == [i % shape[1] == 0 for i in range(count)]


def test_panels_share_an_axis_or_not():
    panels = {"small": {"f": ([0, 1], [0.0, 1.0])}, "large": {"f": ([0, 4], [1.0, 1000.0])}}
    one, other = small_multiples(panels, **AXES).axes
    assert one.get_ylim() == other.get_ylim() and one.get_xlim() == other.get_xlim()
    assert one.get_ylim()[0] <= 0 and one.get_ylim()[1] >= 1000 and one.get_xlim()[1] >= 4
    one, other = small_multiples(panels, **AXES, log_y=True, share_y=False).axes
    assert one.get_ylim() != other.get_ylim() and one.get_xlim() == other.get_xlim()
    assert one.get_yscale() == other.get_yscale() == "log"


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ({}, "series: empty"),
        ({"a": ([1, 2], [1])}, r"series 'a': x of shape \(2,\) and y of \(1,\)"),
        ({"a": ([], [])}, "series 'a': x of shape"),
        ({"a": ([1, 2], [1, 2], [1, 2, 3])}, r"series 'a': spread of shape \(3,\), expected \[2\] or \[2, 2\]"),
    ],
)
def test_bad_series_are_named(series, message):
    with pytest.raises(InputError, match=message):
        lines(series, **AXES)
    with pytest.raises(InputError, match=message):
        small_multiples({"panel": series}, **AXES)


def test_bad_panels_are_named():
    with pytest.raises(InputError, match="panels: empty"):
        small_multiples({}, **AXES)
    with pytest.raises(InputError, match="columns: 0"):
        small_multiples({"a": {"f": ([1], [1])}}, **AXES, columns=0)
