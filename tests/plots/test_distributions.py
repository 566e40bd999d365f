import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import histograms_by_layer

RNG = np.random.default_rng(0)
ROWS = {
    "Xavier": [RNG.normal(0, 1, (50, 40)), RNG.normal(0, 1, 3000)],
    "small": [RNG.normal(0, 0.1, (50, 40)), RNG.normal(0, 0.01, 3000)],
}


def test_bars_are_the_histogram_of_the_layer():
    axes = histograms_by_layer(ROWS, limits=(-2, 2)).axes
    for cell, activations in zip(axes, [*ROWS["Xavier"], *ROWS["small"]], strict=True):
        (bars,) = cell.patches
        counts, edges, _ = bars.get_data()
        expected, expected_edges = np.histogram(activations, len(counts), (-2, 2))
        np.testing.assert_array_equal(counts, expected)
        np.testing.assert_array_equal(edges, expected_edges)
        assert cell.get_xlim() == (-2, 2)


def test_mean_and_deviation_are_written_and_rows_and_columns_named():
    rows = {"a": [[1.0, 3.0], [0.0, 0.0]], "b": [[-1.0, 1.0], [0.5, 1e-3]]}
    axes = histograms_by_layer(rows, layer_names=["first", "second"]).axes
    assert [cell.get_title(loc="left") for cell in axes] == [
        "mean 2\nstd 1", "mean 0\nstd 0", "mean 0\nstd 1", "mean 0.25\nstd 0.25",
    ]  # fmt: skip
    assert [cell.get_ylabel() for cell in axes] == ["a", "", "b", ""]
    assert [[text.get_text() for text in cell.texts] for cell in axes] == [["first"], ["second"], [], []]


def test_a_row_has_one_range_of_its_own():
    axes = histograms_by_layer(ROWS).axes
    for cells, layers in ((axes[:2], ROWS["Xavier"]), (axes[2:], ROWS["small"])):
        values = np.concatenate([layer.ravel() for layer in layers])
        beside = 0.05 * np.ptp(values)
        for cell in cells:
            np.testing.assert_allclose(cell.get_xlim(), (values.min() - beside, values.max() + beside))


def test_zeros_are_written_and_not_drawn():
    first, second = histograms_by_layer({"ReLU": [[0.0, 0.0, 0.0, 1.0], [1.0, 2.0]]}).axes
    assert [text.get_text() for text in first.texts] == ["75% zero", "layer 1"]
    assert [text.get_text() for text in second.texts] == ["layer 2"]
    assert first.patches[0].get_data().values.sum() == 1


def test_layers_that_are_constant_or_not_finite_can_be_shown():
    axes = histograms_by_layer({"zeros": [np.zeros(9), np.zeros(9)], "huge": [np.ones(9), [1.0, np.inf]]}).axes
    assert axes[0].get_xlim() == (-0.5, 0.5)
    counts, edges, _ = axes[0].patches[0].get_data()
    ((full,),) = np.nonzero(counts)
    assert counts[full] == 9 and edges[full] < 0 < edges[full + 1]
    assert axes[3].get_title(loc="left") == "not finite" and not axes[3].patches
    assert axes[3].get_xlim() == axes[2].get_xlim() == (0.5, 1.5)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ({}, {}, r"rows: of \[\] layers"),
        ({"a": []}, {}, r"rows: of \[0\] layers"),
        ({"a": [[1.0]], "b": [[1.0], [2.0]]}, {}, r"rows: of \[1, 2\] layers"),
        ({"a": [[]]}, {}, "rows: a layer without activations"),
        ({"a": [[1.0]]}, {"layer_names": ["x", "y"]}, "layer_names: 2 of them, expected 1"),
    ],
)
def test_bad_arguments_are_named(rows, options, message):
    with pytest.raises(InputError, match=message):
        histograms_by_layer(rows, **options)
