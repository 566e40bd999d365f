"""Bars: what several methods came to under several conditions."""

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.palette import colours
from jaxvision.plots.style import INK, SMALL, house_style, text_width

GROUP = 0.8  # part of the room between categories that their bars take
LEAST_WIDTH = 0.42  # inches of a bar, wide enough for its number


@house_style()
def bars(series, categories, *, y_label, format=".3g", y_limits=None, title=""):
    """A group of bars for each category, in it one bar for each of the series with its number above.

    series: name -> (heights [C], deviations [C]), or (heights, None). NaN is no bar, and the others of its group
    are in the middle. categories: C names, of one line or several. format: of the numbers, as of
    `format(value, ".3g")`. y_limits: (bottom, top).

    Returns a Figure. Raises InputError for no series or other shapes.
    """
    from matplotlib.figure import Figure

    series = {name: _checked(name, len(categories), *pair) for name, pair in series.items()}
    if not series:
        raise InputError("series: empty, expected at least one")
    widest = max(text_width(line, SMALL) for name in categories for line in name.split("\n"))
    room = max(LEAST_WIDTH * len(series) / GROUP, widest + 0.15)
    figure = Figure(figsize=(max(room * len(categories) + 0.8, 3.2), 3.4), layout="constrained")
    axes = figure.add_subplot(title=title, ylabel=y_label)
    width = GROUP / len(series)
    seen = np.isfinite([heights for heights, _ in series.values()])
    middles = (np.cumsum(seen, axis=0) - (np.sum(seen, axis=0, keepdims=True) + 1) / 2) * width
    for colour, middle, (name, (heights, deviations)) in zip(colours(len(series)), middles, series.items()):
        places = np.arange(len(categories)) + middle
        axes.bar(places, heights, 0.92 * width, color=colour, label=name)
        axes.errorbar(places, heights, deviations, fmt="none", ecolor=INK, elinewidth=1, capsize=2.5)
        tops = heights + np.nan_to_num(deviations)
        for place, height, top in zip(places, heights, tops):
            if np.isfinite(height):
                above = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center"}
                axes.annotate(f"{height:{format}}", (place, top), fontsize=SMALL - 1, **above)
    axes.set_xticks(range(len(categories)), categories, color=INK)
    axes.tick_params(axis="x", length=0)
    axes.grid(True, axis="y")
    axes.set_ylim(y_limits)
    if len(series) > 1:
        figure.legend(loc="outside upper left", ncols=min(len(series), 4))
    return figure


def _checked(name, categories, heights, deviations):
    heights = np.asarray(heights, np.float64)
    deviations = np.zeros(heights.shape) if deviations is None else np.asarray(deviations, np.float64)
    if heights.shape != (categories,) or deviations.shape != heights.shape:
        shapes = f"{heights.shape} and {deviations.shape}"
        raise InputError(f"series {name!r}: heights and deviations of shapes {shapes}, expected ({categories},)")
    return heights, deviations
