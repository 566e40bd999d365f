import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import confusion_matrix

COUNTS = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_rows_are_shares_of_the_true_class():
    (axes,) = confusion_matrix(COUNTS, ["a", "b", "c"]).axes
    (cells,) = axes.images
    np.testing.assert_array_equal(cells.get_array(), [[0.8, 0.2, 0], [0.25, 0.75, 0], [0, 0, 0]])
    assert cells.get_clim() == (0, 1)


def test_counts_recall_and_accuracy_are_printed():
    figure = confusion_matrix(COUNTS, ["a", "b", "c"])
    (axes,) = figure.axes
    assert texts(axes) == ["recall", "0.800", "0.750", "none", "8", "2", "1", "3"]
    assert [text.get_text() for text in figure.texts] == ["accuracy 0.7857 on 14 examples"]
    np.testing.assert_allclose(
        [bar.get_width() / axes.patches[0].get_width() for bar in axes.patches[3:]], [0.8, 0.75, 0]
    )


def test_rows_are_true_and_columns_predicted():
    (axes,) = confusion_matrix(COUNTS, ["a", "b", "c"]).axes
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    two = next(text for text in axes.texts if text.get_text() == "2")
    assert two.get_position() == (1, 0)  # true a, predicted b
    first, last = (axes.transData.transform((0, row))[1] for row in (0, 2))
    assert first > last  # the first class on top


def test_cells_are_square():
    (axes,) = confusion_matrix(COUNTS, ["a", "b", "c"]).axes
    width, height = axes.transData.transform((1, 0)) - axes.transData.transform((0, 1))
    assert width == pytest.approx(height)


@pytest.mark.parametrize(
    ("classes", "printed", "named"), [(20, True, True), (21, False, True), (101, False, False)]
)
def test_what_is_written_depends_on_the_number_of_classes(classes, printed, named):
    (axes,) = confusion_matrix(7 * np.eye(classes, dtype=int), [f"class {i}" for i in range(classes)]).axes
    assert texts(axes).count("7") == printed * classes
    assert texts(axes).count("1.000") == named * classes
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"class {i}" for i in range(classes * named)]


def test_names_fit_on_the_page():
    figure = confusion_matrix(np.eye(2), ["short", "W" * 30])
    (axes,) = figure.axes
    page = figure.bbox
    figure.draw_without_rendering()
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.yaxis.label]:
        box = label.get_window_extent()
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1


@pytest.mark.parametrize(
    ("counts", "names", "message"),
    [
        (np.zeros((2, 3)), ["a", "b"], r"counts: shape \(2, 3\), expected \[K, K\]"),
        (np.zeros(()), [], r"counts: shape \(\)"),
        (-np.eye(2), ["a", "b"], "counts: a number below zero"),
        (np.eye(2), ["a"], "class_names: 1 of them, expected 2"),
    ],
)
def test_bad_arguments_are_named(counts, names, message):
    with pytest.raises(InputError, match=message):
        confusion_matrix(counts, names)
