"""Numbers measured at points of a plane, such as the scores of settings of two hyperparameters."""

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.log_axis import name_measured
from jaxvision.plots.style import INK, SMALL, house_style


@house_style()
def scatter(
    x, y, values, *, x_label, y_label, label, log_x=False, log_y=False, format="{:.3g}", circled=None, title=""
):
    """A dot for each point, shaded from the smallest value to the largest, with its value above it.

    x, y: [N] finite. values: [N]; where one isn't finite there is a cross instead. label: what the values are.
    format: of one value, as for `str.format`. circled: the number of a point to be pointed out.

    Returns a Figure. Raises InputError for other shapes or no point.
    """
    from matplotlib.figure import Figure

    x, y, values = (np.asarray(numbers, np.float64) for numbers in (x, y, values))
    if x.ndim != 1 or not x.size or not x.shape == y.shape == values.shape:
        raise InputError(
            f"x, y, values: shapes {x.shape}, {y.shape}, {values.shape}, expected all [N], N at least 1"
        )
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=x_label, ylabel=y_label)
    axes.set_xscale("log" if log_x else "linear")
    axes.set_yscale("log" if log_y else "linear")
    for axis, measured in [(axes.xaxis, x)] * log_x + [(axes.yaxis, y)] * log_y:
        name_measured(axis, measured)
    axes.margins(0.12)
    finite = np.isfinite(values)
    dots = axes.scatter(x[finite], y[finite], c=values[finite], cmap="viridis", s=60, zorder=2)
    axes.scatter(x[~finite], y[~finite], marker="x", color=INK, s=40, zorder=2)
    for point in zip(x[finite], y[finite], values[finite]):
        above = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center", "fontsize": SMALL - 1}
        axes.annotate(format.format(point[2]), point[:2], **above)
    if circled is not None:
        axes.scatter(x[circled], y[circled], s=180, facecolors="none", edgecolors=INK, linewidths=1.5, zorder=3)
    figure.colorbar(dots, label=label).outline.set_visible(False)
    axes.grid(True)
    return figure
