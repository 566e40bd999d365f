"""Lines: what was measured as a setting grew, with its spread, for one method or several."""

from math import ceil

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.log_axis import name_measured, name_powers
from jaxvision.plots.palette import MARKERS, colours
from jaxvision.plots.style import SMALL, house_style

LABEL_INCHES = 0.16  # height of a line's name beside its end
MOST_COLUMNS = 5


@house_style()
def lines(series, *, x_label, y_label, log_x=False, log_y=False, y_limits=None, markers=False, title=""):
    """Lines of one panel, each with its name at its end.

    series: name -> (x [N], y [N]), or (x, y, spread) with a shaded band: standard deviations [N] around y, or
    the lowest and highest values [2, N]. NaN and infinities are left out. y_limits: (bottom, top), for
    lines of which some leave for infinity. markers: mark the points that were measured.

    Returns a Figure. Raises InputError for no series or other shapes.
    """
    from matplotlib.figure import Figure

    series = _checked(series)
    height = max(3.4, LABEL_INCHES * len(series) + 0.9)
    figure = Figure(figsize=(5.6, height), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=x_label, ylabel=y_label)
    _set_scales(axes, [series], log_x, log_y)
    _draw(axes, series, dict(zip(series, colours(len(series)))), markers, y_limits)
    if len(series) > 1:
        _name_ends(axes, series, LABEL_INCHES / (height - 0.9))
    return figure


@house_style()
def small_multiples(
    panels,
    *,
    x_label,
    y_label,
    log_x=False,
    log_y=False,
    y_limits=None,
    markers=False,
    share_y=True,
    columns=None,
):
    """Panels of lines side by side on one x axis: title -> series as in `lines`.

    A name has one colour in all panels. share_y: one y axis too. columns: panels in a row, else up to 5.

    Returns a Figure. Raises InputError as `lines`, for no panel and for columns below 1.
    """
    from matplotlib.figure import Figure

    panels = {title: _checked(series) for title, series in panels.items()}
    if not panels:
        raise InputError("panels: empty, expected at least one")
    columns = _columns(len(panels)) if columns is None else columns
    if columns < 1:
        raise InputError(f"columns: {columns}, expected 1 or more")
    columns = min(columns, len(panels))
    rows = ceil(len(panels) / columns)
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    palette = dict(zip(names, colours(len(names))))

    figure = Figure(figsize=(2.2 * columns + 0.6, 2.1 * rows + 0.6), layout="constrained")
    cells = figure.subplots(rows, columns, sharex=True, sharey=share_y, squeeze=False).ravel()
    _set_scales(cells[0], panels.values(), log_x, log_y)
    for index, (axes, (title, series)) in enumerate(zip(cells, panels.items())):
        if not share_y:
            _set_y_scale(axes, [series], log_y)
        _draw(axes, series, palette, markers, y_limits)
        axes.set_title(title, fontsize=SMALL + 1)
        if index + columns >= len(panels):
            axes.set_xlabel(x_label)
            axes.tick_params(labelbottom=True)
        if index % columns == 0:
            axes.set_ylabel(y_label)
    for axes in cells[len(panels) :]:
        axes.set_visible(False)
    if len(names) > 1:
        handles = [_legend_line(name, palette[name], names, markers) for name in names]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(len(names), 2 * columns))
    return figure


def _draw(axes, series, palette, markers, y_limits):
    names = list(palette)
    if y_limits:
        axes.set_ylim(y_limits)
    beyond = {"clip_on": bool(y_limits)}  # a marker on the edge is whole
    for name, (x, y, low, high) in series.items():
        style = {"marker": _marker(names.index(name)), "markersize": 4} if markers else {}
        axes.plot(x, y, color=palette[name], linewidth=1.5, label=name, **style, **beyond)
        if low is not None:
            axes.fill_between(x, low, high, color=palette[name], alpha=0.18, linewidth=0)
    axes.grid(True)


def _legend_line(name, colour, names, markers):
    from matplotlib.lines import Line2D

    marker = _marker(names.index(name)) if markers else None
    return Line2D([], [], color=colour, linewidth=1.5, marker=marker, markersize=4, label=name)


def _marker(index):
    return MARKERS[index % len(MARKERS)]


def _set_scales(axes, panels, log_x, log_y):
    from matplotlib.ticker import MaxNLocator

    measured = np.concatenate([x for series in panels for x, *_ in series.values()])
    if log_x:
        axes.set_xscale("log")
        name_measured(axes.xaxis, measured)
    elif (measured == np.round(measured)).all():
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=(1, 2, 5, 10)))
    _set_y_scale(axes, panels, log_y)


def _set_y_scale(axes, panels, log_y):
    if log_y:
        axes.set_yscale("log")
        name_powers(axes.yaxis, np.concatenate([y for series in panels for _, y, *_ in series.values()]))


def _name_ends(axes, series, gap):
    """Write the names to the right of the axes, at the height where each line ends or just beside it."""
    axes.set_ylim(axes.get_ylim())  # from here on heights are final
    axes.set_xlim(right=max(x.max() for x, *_ in series.values()))
    heights = {name: _end_height(axes, x, y) for name, (x, y, _, _) in series.items()}
    order = sorted(heights, key=heights.get)
    colour = {line.get_label(): line.get_color() for line in axes.lines}
    for name, place in zip(order, _apart([heights[name] for name in order], gap)):
        ends = ([1.0, 1.03], [heights[name], place])
        axes.plot(*ends, color=colour[name], linewidth=1, transform=axes.transAxes, clip_on=False)
        beside = {"xy": (1.03, place), "xycoords": "axes fraction", "xytext": (3, 0), "va": "center"}
        axes.annotate(name, textcoords="offset points", fontsize=SMALL, **beside)


def _end_height(axes, x, y):
    """Height of the last finite point in the axes, 0 at its bottom and 1 at its top."""
    seen = np.flatnonzero(np.isfinite(y) & ((y > 0) | (axes.get_yscale() == "linear")))
    if not len(seen):
        return 0.0
    end = (axes.transScale + axes.transLimits).transform((x[seen[-1]], y[seen[-1]]))
    return float(np.clip(end[1], 0, 1))


def _apart(heights, gap):
    """Heights in ascending order, moved so that neighbours are `gap` apart and none is above 1."""
    steps = min(gap, 1 / (len(heights) - 1)) * np.arange(len(heights))
    raised = np.maximum.accumulate(heights - steps) + steps
    return np.minimum(raised, 1 - steps[::-1])


def _columns(count):
    rows = ceil(count / MOST_COLUMNS)
    return ceil(count / rows)


def _checked(series):
    if not series:
        raise InputError("series: empty, expected at least one line")
    return {name: _checked_line(name, *line) for name, line in series.items()}


def _checked_line(name, x, y, spread=None):
    """x, y, low and high; the last two None without a spread."""
    x, y = (np.asarray(values, np.float64) for values in (x, y))
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        raise InputError(f"series {name!r}: x of shape {x.shape} and y of {y.shape}, expected both [N]")
    if spread is None:
        return x, y, None, None
    spread = np.asarray(spread, np.float64)
    if spread.shape not in (x.shape, (2, *x.shape)):
        raise InputError(
            f"series {name!r}: spread of shape {spread.shape}, expected {list(x.shape)} or {[2, *x.shape]}"
        )
    return (x, y, *spread) if spread.ndim == 2 else (x, y, y - spread, y + spread)
