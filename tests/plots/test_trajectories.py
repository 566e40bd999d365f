import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import descent_1d, descent_2d, descent_2d_frames

X, Y = np.linspace(-2, 2, 41), np.linspace(-1, 3, 81)
VALLEY = (X - 1) ** 2 + 10 * (Y[:, None] - 0.5) ** 2
PATHS = {"SGD": [[-1, 2], [0, 0], [0.5, 1]], "momentum": [[-1, 2], [1, 0.5]]}


def course_parabola(x):
    return x**2 - 5 * x + 2


def test_iterates_lie_on_the_curve():
    figure = descent_1d(course_parabola, (-1, 6), {"GD": [0.0, 1.0, 2.5], "momentum": [0.0, 3.0]})
    first, second = figure.axes
    curve, path, start, end = first.lines
    np.testing.assert_allclose(curve.get_ydata(), course_parabola(curve.get_xdata()))
    np.testing.assert_array_equal(path.get_xydata(), [(0, 2), (1, -2), (2.5, -4.25)])
    np.testing.assert_array_equal(start.get_xydata(), [(0, 2)])
    np.testing.assert_array_equal(end.get_xydata(), [(2.5, -4.25)])
    assert start.get_markerfacecolor() == "white"
    np.testing.assert_array_equal(second.lines[1].get_xydata(), [(0, 2), (3, -4)])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["GD", "momentum"]
    assert first.get_xlim() == (-1, 6) and first.get_ylim() == second.get_ylim()


def test_what_diverges_leaves_the_picture_and_does_not_stretch_it():
    calm = descent_1d(course_parabola, (-1, 6), {"GD": [0.0]}).axes[0]
    wild = descent_1d(course_parabola, (-1, 6), {"GD": [0.0, 30.0, -1e200, np.inf, np.nan]}).axes[0]
    assert wild.get_xlim() == calm.get_xlim() and wild.get_ylim() == calm.get_ylim()
    np.testing.assert_array_equal(wild.lines[1].get_xdata(), [0, 30, np.nan, np.nan, np.nan])


def test_paths_and_the_lowest_place_of_the_valley():
    (axes,) = descent_2d(X, Y, VALLEY, PATHS).axes
    lowest, *drawn = axes.lines
    np.testing.assert_allclose(lowest.get_xydata(), [(1, 0.5)])
    np.testing.assert_array_equal(drawn[0].get_xydata(), PATHS["SGD"])
    np.testing.assert_array_equal(drawn[3].get_xydata(), PATHS["momentum"])
    assert axes.get_xlim() == (-2, 2) and axes.get_ylim() == (-1, 3)
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.texts] == ["SGD", "momentum"]


def test_the_rings_of_a_bowl_lie_equally_far_apart():
    x = np.linspace(-1, 1, 201)
    (axes,) = descent_2d(x, x, x**2 + x[:, None] ** 2 + 3, PATHS).axes
    _, rings = axes.collections
    np.testing.assert_allclose(np.diff(np.sqrt(rings.levels - 3)), np.sqrt(2) / 13, rtol=1e-4)


def test_rows_of_values_are_y():
    (axes,) = descent_2d(X, Y, VALLEY, PATHS).axes
    _, rings = axes.collections
    for level, path in zip(rings.levels, rings.get_paths()):
        x, y = path.vertices.T
        np.testing.assert_allclose((x - 1) ** 2 + 10 * (y - 0.5) ** 2, level, atol=0.05)


def test_a_flat_valley_can_be_drawn():
    descent_2d(X, Y, 0 * VALLEY, PATHS).draw_without_rendering()


@pytest.mark.parametrize(("every", "steps"), [(1, [0, 1, 2]), (2, [0, 2]), (3, [0, 2])])
def test_frames_grow_to_the_last_step(every, steps):
    figures = list(descent_2d_frames(X, Y, VALLEY, PATHS, every=every))
    assert [figure.axes[0].get_title(loc="left") for figure in figures] == [f"step {step}" for step in steps]
    for figure, step in zip(figures, steps):
        sgd, momentum = (figure.axes[0].lines[i].get_xydata() for i in (1, 4))
        np.testing.assert_array_equal(sgd, PATHS["SGD"][: step + 1])
        np.testing.assert_array_equal(momentum, PATHS["momentum"][: step + 1])


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match=r"limits: \(6, -1\)"):
        descent_1d(course_parabola, (6, -1), {"GD": [0.0]})
    with pytest.raises(InputError, match=r"path 'GD': shape \(1, 2\), expected \[T\]"):
        descent_1d(course_parabola, (-1, 6), {"GD": [[0.0, 1.0]]})
    with pytest.raises(InputError, match="paths: empty"):
        descent_2d(X, Y, VALLEY, {})
    with pytest.raises(InputError, match=r"path 'GD': shape \(2,\), expected \[T, 2\]"):
        descent_2d(X, Y, VALLEY, {"GD": [0.0, 1.0]})
    with pytest.raises(InputError, match=r"x, y, values: shapes \(41,\), \(81,\) and \(41, 81\)"):
        descent_2d(X, Y, VALLEY.T, PATHS)
    with pytest.raises(InputError, match="every: 0"):
        next(descent_2d_frames(X, Y, VALLEY, PATHS, every=0))
