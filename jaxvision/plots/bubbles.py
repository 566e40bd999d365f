"""Bubbles: things that have a place in a plane, a size and a name."""

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.log_axis import name_powers
from jaxvision.plots.style import INK, SMALL, TRAIN, house_style

LARGEST = 1400  # points squared
GAP = 2  # points between a disc and its name
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))


@house_style()
def bubbles(names, x, y, sizes, *, x_label, y_label, size_label, log_x=False, title=""):
    """A disc for each name at (x, y), its area in proportion to its size; small ones lie above large ones.

    names: N. x, y: [N] finite. sizes: [N] positive. size_label: what an area is, with the largest one's number.

    Returns a Figure. Raises InputError for other shapes or numbers, or no name.
    """
    from matplotlib.figure import Figure

    x, y, sizes = (np.asarray(numbers, np.float64) for numbers in (x, y, sizes))
    if not len(names) or not x.shape == y.shape == sizes.shape == (len(names),):
        raise InputError(
            f"x, y, sizes: shapes {x.shape}, {y.shape}, {sizes.shape}, expected a number for each of {len(names)} "
            "names, at least one"
        )
    if not (np.isfinite([x, y, sizes]).all() and (sizes > 0).all()):
        raise InputError("x, y, sizes: expected finite numbers, and sizes above 0")
    figure = Figure(figsize=(7.2, 5.2), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=x_label, ylabel=y_label)
    if log_x:
        axes.set_xscale("log")
        name_powers(axes.xaxis, x)
    axes.margins(0.12)
    order = np.argsort(-sizes)
    areas = LARGEST * sizes / sizes.max()
    axes.scatter(x[order], y[order], areas[order], color=TRAIN, alpha=0.35, edgecolors=INK, linewidths=0.6)
    axes.text(1, 0.01, size_label, transform=axes.transAxes, ha="right", va="bottom", fontsize=SMALL)
    axes.grid(True)
    from_the_right = np.argsort(-x)
    _name_beside(axes, [(names[i], (x[i], y[i]), np.sqrt(areas[i]) / 2) for i in from_the_right])
    return figure


def _name_beside(axes, discs):
    """Each name to the right of its disc or, where one lies there already, to the left, above or below it."""
    axes.figure.draw_without_rendering()  # from here on a text has a place on the page
    taken = [text.get_window_extent() for text in axes.texts]
    for name, place, radius in discs:
        text = axes.annotate(name, place, (0, 0), textcoords="offset points", fontsize=SMALL)
        for right, up in SIDES:
            text.set_position((right * (radius + GAP), up * (radius + GAP)))
            text.set(ha=("right", "center", "left")[right + 1], va=("top", "center", "bottom")[up + 1])
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)
