import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import Surface, decision_surface, decision_surfaces, grid_points
from jaxvision.plots.surfaces import STRENGTH, blend

EXTENT = (-1.0, 1.0, -2.0, 2.0)
BLUE, VERMILION = (0, 0x72 / 255, 0xB2 / 255), (0xD5 / 255, 0x5E / 255, 0)


def pale(rgb):
    return 1 + STRENGTH * (np.array(rgb) - 1)


def surface(accuracy=None, size=(4, 2)):
    """Class 1 above, class 0 below, and a point of each there."""
    y = grid_points(EXTENT, size)[:, 1].reshape(size)
    probabilities = np.stack([y < 0, y > 0], axis=-1).astype(float)
    return Surface(probabilities, EXTENT, np.array([[0.5, -1.5], [-0.5, 1.5]]), np.array([0, 1]), accuracy)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_grid_points_are_pixel_centres_row_by_row_from_the_top():
    points = grid_points(EXTENT, (4, 2))
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points[:3], [[-0.5, 1.5], [0.5, 1.5], [-0.5, 0.5]])
    np.testing.assert_array_equal(points[-1], [0.5, -1.5])


def test_a_picture_of_the_grid_shows_every_point_where_it_is():
    (axes,) = decision_surface(*surface()[:4]).axes
    (plane,) = axes.images
    for point, label in zip(*surface()[2:4]):
        row, column = (int(i) for i in _pixel_under(plane, point))
        np.testing.assert_allclose(plane.get_array()[row, column], pale([BLUE, VERMILION][label]), atol=1e-6)
    assert axes.get_xlim() == EXTENT[:2] and axes.get_ylim() == EXTENT[2:]


def _pixel_under(plane, point):
    """Row and column as imshow places them, whatever its origin."""
    left, right, bottom, top = plane.get_extent()
    height, width = plane.get_array().shape[:2]
    row = (top - point[1]) / (top - bottom) * height
    return (row if plane.origin == "upper" else height - row), (point[0] - left) / (right - left) * width


def test_certain_is_the_colour_of_the_class_and_even_is_white():
    red, green, black = "#ff0000", "#00ff00", "#000000"
    np.testing.assert_allclose(blend([[1, 0, 0], [0, 1, 0], [1 / 3] * 3], [red, green, black]),
                               [[1, 0, 0], [0, 1, 0], [1, 1, 1]], atol=1e-6)  # fmt: skip
    # p = (3/4, 1/4): the mixture (3/4, 1/4, 0), half of it on white
    np.testing.assert_allclose(blend([0.75, 0.25], [red, green]), [0.875, 0.625, 0.5])


def test_the_less_certain_the_paler():
    sure = np.linspace(0.5, 1, 11)
    colours = blend(np.stack([sure, 1 - sure], axis=-1), ["#0072B2", "#D55E00"])
    assert (np.diff(colours.mean(axis=-1)) < 0).all()


def test_points_have_the_colour_of_their_class():
    (axes,) = decision_surface(*surface()[:4]).axes
    first, second = axes.collections
    np.testing.assert_array_equal(first.get_offsets(), [[0.5, -1.5]])
    np.testing.assert_allclose(first.get_facecolor(), [[*BLUE, 1]])
    np.testing.assert_array_equal(second.get_offsets(), [[-0.5, 1.5]])
    np.testing.assert_allclose(second.get_facecolor(), [[*VERMILION, 1]])


def test_accuracy_is_written_if_it_is_known():
    assert texts(decision_surface(*surface()[:4], accuracy=0.98765).axes[0]) == ["0.988"]
    assert texts(decision_surface(*surface()[:4]).axes[0]) == []


def test_a_unit_is_as_long_in_both_directions():
    figure = decision_surface(*surface()[:4])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    width, height = axes.transData.transform((1, 1)) - axes.transData.transform((0, 0))
    assert width == pytest.approx(height)


def test_rows_and_columns_are_named_and_what_is_missing_is_empty():
    rows = {"xor": {"linear": surface(0.5), "MLP": surface(1.0)}, "moons": {"MLP": surface(0.75)}}
    axes = decision_surfaces(rows).axes
    assert [(a.get_ylabel(), a.get_title(loc="left"), len(a.images), texts(a)) for a in axes] == [
        ("xor", "linear", 1, ["0.500"]),
        ("", "MLP", 1, ["1.000"]),
        ("moons", "", 0, []),
        ("", "", 1, ["0.750"]),
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"probabilities": np.ones((4, 2))}, r"probabilities: shape \(4, 2\), expected \[H, W, K\]"),
        ({"probabilities": np.ones((4, 2, 2))}, "probabilities: negative or not summing to 1"),
        ({"probabilities": np.full((4, 2, 2), np.nan)}, "probabilities: negative or not summing to 1"),
        ({"points": np.zeros((2, 3))}, r"points: shape \(2, 3\), expected \[N, 2\]"),
        ({"labels": np.array([0, 2])}, r"labels: expected 2 of them, one for each point, in 0\.\.1"),
        ({"labels": np.array([0])}, "labels: expected 2 of them"),
        ({"extent": (1, -1, -1, 1)}, r"extent: \(1, -1, -1, 1\), expected \(left, right"),
    ],
)
def test_bad_arguments_are_named(changed, message):
    with pytest.raises(InputError, match=message):
        decision_surface(*surface()._replace(**changed)[:4])


def test_an_empty_grid_is_refused():
    with pytest.raises(InputError, match="rows: no surface"):
        decision_surfaces({"xor": {}})
    with pytest.raises(InputError, match=r"size: \(0, 3\)"):
        grid_points(EXTENT, (0, 3))
