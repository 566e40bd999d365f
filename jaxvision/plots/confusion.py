"""The confusion matrix: what each class was taken for."""

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.style import GRID, INK, LARGE, MUTED, SMALL, TRAIN, house_style, text_width

MOST_PRINTED = 20  # classes up to which the counts are printed into the cells
MOST_NAMED = 100  # classes up to which a name is still legible
MOST_LETTERS = 24
GAP, BAR, BAR_TEXT = 0.15, 0.8, 0.55  # inches: before the recall, its bar, its number
TOP, AXIS_LABEL = 0.7, 0.45  # inches: heading, "true" and "predicted"


@house_style()
def confusion_matrix(counts, class_names):
    """Each row shaded by the share of its class, with the counts (up to 20 classes) and the recall.

    counts: [K, K] numbers of examples >= 0, rows the true class and columns the predicted one. The shade
    grows with the square root of the share: one in a hundred can still be seen. Names are drawn up to 100
    classes.

    Returns a Figure. Raises InputError for another shape, negative counts or another number of names.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise InputError(f"counts: shape {counts.shape}, expected [K, K]")
    if not (counts >= 0).all():
        raise InputError("counts: a number below zero or NaN, expected numbers of examples")
    classes = len(counts)
    if len(class_names) != classes:
        raise InputError(f"class_names: {len(class_names)} of them, expected {classes}, one for each row")
    names = [_shorten(str(name)) for name in class_names] if classes <= MOST_NAMED else []
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    heading = f"accuracy {np.trace(counts) / max(counts.sum(), 1):.4g} on {counts.sum():,.0f} examples"

    cell, points = (0.42, SMALL) if classes <= MOST_PRINTED else (min(0.13, 13 / classes), 6)
    names_width = max((text_width(name, points) for name in names), default=0)
    figure, axes = _square_cells(classes, cell, names_width, heading)
    _draw_cells(axes, shares)
    _draw_recall(axes, counts, cell, points)
    _name_classes(axes, names, points)
    if classes <= MOST_PRINTED:
        _print_counts(axes, counts, shares)
    return figure


def _shorten(name):
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"


def _square_cells(classes, cell, names_width, heading):
    """Figure and Axes with one unit a cell, `cell` inches wide and high, and room for all that is written."""
    from matplotlib.figure import Figure

    side, margin = cell * classes, names_width + AXIS_LABEL
    beside = GAP + BAR + BAR_TEXT
    width = max(margin + side + beside, text_width(heading, LARGE, "bold") + 0.3)
    height = TOP + side + margin
    figure = Figure(figsize=(width, height))
    box = (margin / width, margin / height, (side + beside) / width, side / height)
    axes = figure.add_axes(box, xlim=(-0.5, classes - 0.5 + beside / cell), ylim=(classes - 0.5, -0.5))
    figure.text(0.12 / width, 1 - 0.12 / height, heading, va="top", fontsize=LARGE, fontweight="bold")
    axes.spines[:].set_visible(False)
    return figure, axes


def _draw_cells(axes, shares):
    from matplotlib.colors import PowerNorm

    norm = PowerNorm(0.5, vmin=0, vmax=1)
    axes.imshow(shares, cmap="Blues", norm=norm, interpolation="nearest", aspect="auto")
    if len(shares) <= MOST_NAMED:
        edges, ends = np.arange(len(shares) + 1) - 0.5, (-0.5, len(shares) - 0.5)
        axes.hlines(edges, *ends, color=GRID, linewidth=0.5)
        axes.vlines(edges, *ends, color=GRID, linewidth=0.5)


def _draw_recall(axes, counts, cell, points):
    """Bars beside the rows, on the same axes so that they stay in line."""
    rows, totals = np.arange(len(counts)), counts.sum(axis=1)
    left, full = len(counts) - 0.5 + GAP / cell, BAR / cell
    recalls = np.diag(counts) / np.maximum(totals, 1)
    axes.barh(rows, np.full(len(rows), full), 0.6, left=left, color=GRID)
    axes.barh(rows, recalls * full, 0.6, left=left, color=TRAIN)
    above = {"textcoords": "offset points", "xytext": (0, 4)}
    axes.annotate("recall", (left, -0.5), fontsize=SMALL, color=MUTED, **above)
    if len(counts) <= MOST_NAMED:
        for row in rows:
            text = f"{recalls[row]:.3f}" if totals[row] else "none"
            axes.text(left + full + 0.06 / cell, row, text, va="center", fontsize=points)


def _name_classes(axes, names, points):
    upright = names and max(map(len, names)) <= 2 and len(names) <= MOST_PRINTED
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(len(names)), names, rotation=0 if upright else 90)
    axes.tick_params(length=0, labelsize=points)
    axes.set_xlabel("predicted", loc="left")
    axes.set_ylabel("true", loc="top")


def _print_counts(axes, counts, shares):
    for row, column in np.argwhere(counts > 0):
        text = f"{counts[row, column]:.10g}"
        colour = "white" if shares[row, column] > 0.35 else INK
        points = SMALL if len(text) <= 4 else 6
        axes.text(column, row, text, ha="center", va="center", fontsize=points, color=colour)
