"""The way that an optimiser takes down a curve or a valley."""

from collections.abc import Iterator

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.palette import MARKERS, colours
from jaxvision.plots.style import INK, MUTED, SMALL, house_style

FAR = 10  # extents away from the middle: what has diverged so far is not drawn
LEVELS = 14


@house_style()
def descent_1d(function, limits, paths, *, x_label="x", y_label="y"):
    """A curve and on it the iterates, one panel an optimiser: the first hollow, successive ones joined.

    function: x [N] -> y [N]. limits: lowest and highest x. paths: name -> iterates [T], the start first; they
    may leave the limits and become infinite.

    Returns a Figure. Raises InputError for no path, another shape or empty limits.
    """
    from matplotlib.figure import Figure

    low, high = limits
    if not low < high:
        raise InputError(f"limits: {tuple(limits)}, expected lowest and highest x")
    paths = _checked_paths(paths, 1)
    x = np.linspace(low, high, 400)
    figure = Figure(figsize=(2.4 * len(paths) + 0.6, 2.9), layout="constrained")
    cells = figure.subplots(1, len(paths), sharex=True, sharey=True, squeeze=False)[0]
    cells[0].set_ylabel(y_label)
    for axes, colour, (name, path) in zip(cells, colours(len(paths)), paths.items()):
        axes.plot(x, function(x), color=MUTED, linewidth=1.2)
        axes.set(xlim=limits, ylim=axes.get_ylim(), xlabel=x_label)
        path = _near(path, low, high)
        _draw_path(axes, path, function(path), colour)
        axes.set_title(name, fontsize=SMALL + 1)
    return figure


@house_style()
def descent_2d(x, y, values, paths, *, x_label="x", y_label="y", title=""):
    """Contours of a valley, closer where it is steep, with the ways of several optimisers down it.

    x [W], y [H]: ascending. values [H, W]: finite, the function there; its lowest place gets a star.
    paths: name -> iterates [T, 2], (x, y), the start first.

    Returns a Figure. Raises InputError for no path and for other shapes.
    """
    from matplotlib.figure import Figure

    x, y, values = map(np.asarray, (x, y, values))
    if x.ndim != 1 or y.ndim != 1 or values.shape != (len(y), len(x)) or not np.isfinite(values).all():
        shapes = f"{x.shape}, {y.shape} and {values.shape}"
        raise InputError(f"x, y, values: shapes {shapes}, expected [W], [H] and finite [H, W]")
    paths = _checked_paths(paths, 2)
    figure = Figure(figsize=(6.2, 3.9), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=x_label, ylabel=y_label)
    _draw_valley(axes, x, y, values)
    for index, (name, path) in enumerate(paths.items()):
        path = np.stack([_near(path[:, 0], x[0], x[-1]), _near(path[:, 1], y[0], y[-1])])
        _draw_path(axes, *path, colours(len(paths))[index], MARKERS[index % len(MARKERS)], name)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    figure.legend(loc="outside right upper")
    return figure


def descent_2d_frames(x, y, values, paths, *, every=1, x_label="x", y_label="y") -> Iterator:
    """Figures for `animation`: as `descent_2d`, after 0, every, 2 * every, ... steps, until the longest path ends.

    Raises InputError as `descent_2d`, when the first is drawn, and for `every` below 1.
    """
    if every < 1:
        raise InputError(f"every: {every}, expected 1 step or more")
    paths = _checked_paths(paths, 2)
    last = max(map(len, paths.values())) - 1
    for step in [*range(0, last, every), last]:
        so_far = {name: path[: step + 1] for name, path in paths.items()}
        yield descent_2d(x, y, values, so_far, x_label=x_label, y_label=y_label, title=f"step {step}")


def _draw_valley(axes, x, y, values):
    lowest, highest = values.min(), values.max()
    levels = lowest + (highest - lowest) * np.linspace(0, 1, LEVELS) ** 2  # a bowl's rings lie equally far apart
    if highest > lowest:
        axes.contourf(x, y, values, levels, cmap="Greys", alpha=0.3)
        axes.contour(x, y, values, levels, colors=MUTED, linewidths=0.5)
    row, column = np.unravel_index(values.argmin(), values.shape)
    axes.plot(x[column], y[row], "*", color=INK, markersize=10, zorder=3)


def _draw_path(axes, x, y, colour, marker="o", label=None):
    axes.plot(x, y, color=colour, linewidth=1.1, marker=marker, markersize=3.5, label=label)
    axes.plot(x[:1], y[:1], marker, color=colour, markerfacecolor="white", markersize=6, markeredgewidth=1.4)
    axes.plot(x[-1:], y[-1:], marker, color=colour, markersize=6)


def _near(values, low, high):
    """NaN where they are too far away to be drawn."""
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values - (low + high) / 2) <= FAR * (high - low), values, np.nan)


def _checked_paths(paths, rank):
    paths = {name: np.asarray(path, np.float64) for name, path in paths.items()}
    if not paths:
        raise InputError("paths: empty, expected at least one")
    for name, path in paths.items():
        if path.ndim != rank or not path.size or path.shape[1:] != (2,) * (rank - 1):
            raise InputError(f"path {name!r}: shape {path.shape}, expected {'[T]' if rank == 1 else '[T, 2]'}")
    return paths
