import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import table_heatmap

VALUES = np.array([[0.5, 0.75, 1.0], [np.nan, 0.5, 0.625]])


def draw(values=VALUES, rows=("shallow", "deep"), columns=(4, 16, 64), **options):
    return table_heatmap(values, rows, columns, **options)


def test_shades_run_from_the_smallest_to_the_largest():
    (axes,) = draw().axes
    (cells,) = axes.images
    np.testing.assert_array_equal(cells.get_array().filled(-1), [[0, 0.5, 1], [-1, 0, 0.25]])
    reds = [cells.to_rgba(share)[0] for share in (0, 0.5, 1)]
    assert reds[0] > reds[1] > reds[2]  # from white to blue


def test_shades_by_column():
    (axes,) = draw(by_column=True).axes
    (cells,) = axes.images
    np.testing.assert_array_equal(cells.get_array().filled(-1), [[0, 1, 1], [-1, 0, 0]])


def test_every_number_stands_in_its_cell():
    (axes,) = draw(format="{:.2f}").axes
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "0.50", (1, 0): "0.75", (2, 0): "1.00", (1, 1): "0.50", (2, 1): "0.62",
    }  # fmt: skip
    assert [text.get_color() for text in axes.texts][2] == "white"


def test_rows_columns_and_numbers_are_named():
    (axes,) = draw(label="accuracy", row_name="depth", column_name="width").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["shallow", "deep"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["4", "16", "64"]
    assert (axes.get_title(loc="left"), axes.get_ylabel(), axes.get_xlabel()) == ("accuracy", "depth", "width")
    first, last = (axes.transData.transform((0, row))[1] for row in (0, 1))
    assert first > last  # the first row on top


def test_everything_fits_on_the_page():
    figure = draw(rows=("W" * 20, "deep"), label="a heading wider than its table of numbers", row_name="depth",
                  column_name="width", format="{:.10f}")  # fmt: skip
    (axes,) = figure.axes
    figure.draw_without_rendering()
    page = figure.bbox
    for text in [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.yaxis.label, axes.title]:
        box = text.get_window_extent()
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
    for text, column in zip(axes.texts, (0, 1, 2)):
        box = text.get_window_extent()
        left, right = (axes.transData.transform((column + side, 0))[0] for side in (-0.5, 0.5))
        assert left < box.x0 and box.x1 < right


def test_equal_numbers_have_one_shade():
    (axes,) = draw(np.full((2, 3), 7.0)).axes
    np.testing.assert_array_equal(axes.images[0].get_array(), np.zeros((2, 3)))
    draw(np.full((2, 3), np.nan)).draw_without_rendering()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": np.zeros(3)}, r"values: shape \(3,\), expected \[R, C\]"),
        ({"values": np.full((2, 3), np.inf)}, "expected .* finite or NaN"),
        ({"rows": ["a"]}, "row_labels: 1 of them, expected 2"),
        ({"columns": ["a"]}, "column_labels: 1 of them, expected 3"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        draw(**arguments)
