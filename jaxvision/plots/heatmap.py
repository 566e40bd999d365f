"""A table of numbers, shaded by how large they are."""

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.style import GRID, INK, LARGE, MEDIUM, SMALL, house_style, text_width

CELL_HEIGHT, NAME = 0.4, 0.22  # inches
DARK = 0.6  # part of the range from which white text is read more easily


@house_style()
def table_heatmap(
    values,
    row_labels,
    column_labels,
    *,
    format="{:.3g}",
    label="",
    row_name="",
    column_name="",
    by_column=False,
):
    """Cells shaded from the smallest number to the largest, each with its number; NaN is an empty cell.

    With `by_column` each column is shaded from its own smallest number to its largest, as where units differ.

    values: [R, C] finite or NaN. row_labels: R, the first on top. column_labels: C. format: of one number, as
    for `str.format`. label: what the numbers are, the heading. row_name, column_name: what the labels are.

    Returns a Figure. Raises InputError for another shape, infinities, or another number of labels.
    """
    from matplotlib.figure import Figure

    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.size or np.isinf(values).any():
        raise InputError(f"values: shape {values.shape}, expected [R, C], finite or NaN")
    for name, labels, expected in zip(("row_labels", "column_labels"), (row_labels, column_labels), values.shape):
        if len(labels) != expected:
            raise InputError(f"{name}: {len(labels)} of them, expected {expected}")

    rows, columns = values.shape
    texts = [["" if np.isnan(value) else format.format(value) for value in row] for row in values]
    written = [*map(str, column_labels), *(text for row in texts for text in row)]
    cell_width = max(0.5, max(text_width(text, MEDIUM) for text in written) + 0.2)
    left = max(text_width(str(name), SMALL) for name in row_labels) + 0.25 + NAME * bool(row_name)
    below, above = 0.35 + NAME * bool(column_name), 0.15 + 0.3 * bool(label)
    across, down = cell_width * columns, CELL_HEIGHT * rows
    width = left + max(across, text_width(label, LARGE, "bold")) + 0.15
    height = below + down + above
    figure = Figure(figsize=(width, height))
    box = (left / width, below / height, across / width, down / height)
    axes = figure.add_axes(box, title=label, xlabel=column_name, ylabel=row_name)
    shares = np.stack([_shares(column) for column in values.T], axis=1) if by_column else _shares(values)
    axes.imshow(np.ma.masked_invalid(shares), cmap="Blues", vmin=0, vmax=1.1, aspect="auto")
    axes.set_facecolor(GRID)
    for row, column in np.argwhere(~np.isnan(values)):
        colour = "white" if shares[row, column] > DARK else INK
        axes.text(column, row, texts[row][column], ha="center", va="center", color=colour)
    axes.set_xticks(range(columns), map(str, column_labels))
    axes.set_yticks(range(rows), map(str, row_labels))
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)
    return figure


def _shares(values):
    """0 for the smallest number, 1 for the largest; all 0 when they are equal."""
    seen = values[~np.isnan(values)]
    if not seen.size or seen.max() == seen.min():
        return values * 0
    return (values - seen.min()) / (seen.max() - seen.min())
