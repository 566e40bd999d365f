"""How activations are distributed, layer by layer."""

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.style import INK, MUTED, SMALL, TRAIN, house_style

BINS = 41  # odd: one of them has zero in its middle when the limits lie around it
CELL_WIDTH, CELL_HEIGHT = 1.25, 1.15  # inches
BESIDE = 0.05  # of what a row spans, on either side
ZEROS_WORTH_SAYING = 0.005


@house_style()
def histograms_by_layer(rows, *, layer_names=None, limits=None):
    """Histograms of activations: one row an initialisation, one column a layer, mean and deviation above each.

    Whether the signal dies out or saturates with depth is seen along a row, so a row has one range. Every
    histogram is scaled to its own height; exact zeros, as of ReLU, would tower above the rest and are written as
    a share instead. After Glorot & Bengio (2010), figure 6.

    rows: name -> one array of any shape per layer, the first layer first. layer_names: as many as layers, else
    "layer 1", ... limits: (lowest, highest) value shown, the same in all rows; None: what the row spans. Where
    values are infinite or NaN that is said instead.

    Returns a Figure. Raises InputError if there is none, one is empty, or rows differ in their number of layers.
    """
    from matplotlib.figure import Figure

    rows = {name: [np.asarray(layer, np.float64).ravel() for layer in layers] for name, layers in rows.items()}
    layers = _number_of_layers(rows)
    names = [f"layer {number}" for number in range(1, layers + 1)] if layer_names is None else layer_names
    if len(names) != layers:
        raise InputError(f"layer_names: {len(names)} of them, expected {layers}")
    size = (CELL_WIDTH * layers + 0.5, (CELL_HEIGHT + 0.2) * len(rows) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    cells = figure.subplots(len(rows), layers, sharex="row", squeeze=False)
    for line, (row, arrays) in zip(cells, rows.items()):
        line[0].set_ylabel(row, color=INK, fontsize=SMALL + 1, fontweight="bold")
        spanned = _span(arrays) if limits is None else limits
        for axes, activations in zip(line, arrays):
            _draw(axes, activations, spanned)
    for axes, name in zip(cells[0], names):
        heading = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 28), "textcoords": "offset points"}
        axes.annotate(name, **heading, fontsize=SMALL + 1, fontweight="bold")
    return figure


def _draw(axes, activations, limits):
    from matplotlib.ticker import MaxNLocator

    finite = np.isfinite(activations).all()
    if finite:
        _draw_bars(axes, activations, limits)
    text = f"mean {activations.mean():.2g}\nstd {activations.std():.2g}" if finite else "not finite"
    axes.set_title(text, fontsize=SMALL, fontweight="normal", color=MUTED)
    axes.set_xlim(limits)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=(1, 2, 5, 10)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(labelsize=SMALL - 1)
    axes.spines["left"].set_visible(False)


def _draw_bars(axes, activations, limits):
    zeros = (activations == 0).mean()
    counts, edges = np.histogram(activations[activations != 0] if zeros < 1 else activations, BINS, limits)
    axes.stairs(counts, edges, fill=True, color=TRAIN)
    axes.set_ylim(0, 1.05 * max(counts.max(), 1))
    if ZEROS_WORTH_SAYING <= zeros < 1:
        corner = {"xy": (1, 1), "xycoords": "axes fraction", "ha": "right", "va": "top"}
        axes.annotate(f"{zeros:.0%} zero", **corner, fontsize=SMALL - 1)


def _span(arrays):
    finite = [activations for activations in arrays if np.isfinite(activations).all()]
    low = min((float(activations.min()) for activations in finite), default=0.0)
    high = max((float(activations.max()) for activations in finite), default=0.0)
    beside = BESIDE * (high - low) or 0.5
    return low - beside, high + beside


def _number_of_layers(rows):
    numbers = {len(layers) for layers in rows.values()}
    if len(numbers) != 1 or 0 in numbers:
        raise InputError(f"rows: of {sorted(numbers)} layers, expected one row or more, all of the same number")
    if not all(layer.size for layers in rows.values() for layer in layers):
        raise InputError("rows: a layer without activations")
    return numbers.pop()
