"""What a classifier says about every point of a plane: the colour of the class, pale where it is unsure."""

from typing import NamedTuple

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.palette import MARKERS, colours
from jaxvision.plots.style import INK, MUTED, SMALL, house_style

STRENGTH = 0.5  # of the surest colour, so that the points stand out from the plane
CELL = 2.1  # inches


class Surface(NamedTuple):
    """One cell of `decision_surfaces`: arguments as those of `decision_surface`."""

    probabilities: np.ndarray
    extent: tuple[float, float, float, float]
    points: np.ndarray
    labels: np.ndarray
    accuracy: float | None = None


def grid_points(extent, size):
    """The centres of the pixels of a picture of the plane, float32 [H * W, 2], to be given to a classifier.

    extent: (left, right, bottom, top). size: (H, W). They come row by row from the top, as pixels do: the
    answers reshaped to [H, W, K] are what `decision_surface` draws.

    Raises InputError for an empty extent or size.
    """
    left, right, bottom, top = _checked_extent(extent)
    height, width = size
    if min(size) < 1:
        raise InputError(f"size: {tuple(size)}, expected height and width of at least 1")
    x = left + (np.arange(width) + 0.5) * (right - left) / width
    y = top - (np.arange(height) + 0.5) * (top - bottom) / height
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)


def blend(probabilities, class_colours):
    """RGB [..., 3] in [0, 1] of class probabilities [..., K]: their mixture of the K colours, on white.

    The mixture covers (K max(p) - 1) / (K - 1) of the white: all where one class is certain, nothing where all
    are as likely. class_colours: K colours as matplotlib reads them.
    """
    from matplotlib.colors import to_rgb

    probabilities = np.asarray(probabilities, np.float32)
    classes = probabilities.shape[-1]
    mixture = probabilities @ np.array([to_rgb(colour) for colour in class_colours], np.float32)
    certainty = (classes * probabilities.max(axis=-1, keepdims=True) - 1) / (classes - 1)
    return np.clip(1 + certainty * (mixture - 1), 0, 1)


@house_style()
def decision_surface(probabilities, extent, points, labels, *, accuracy=None, title=""):
    """The plane coloured by class probabilities, with the points on it in colour and marker of their class.

    probabilities: [H, W, K] at `grid_points(extent, (H, W))`. extent: (left, right, bottom, top).
    points: [N, 2]. labels: [N] in 0..K-1. accuracy: in [0, 1], written into the corner.

    Returns a Figure. Raises InputError for other shapes, labels or an empty extent, and for probabilities that
    do not sum to 1.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 4.3), layout="constrained")
    axes = figure.add_subplot(title=title)
    _draw(axes, Surface(probabilities, extent, points, labels, accuracy), point_size=22)
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    return figure


@house_style()
def decision_surfaces(rows):
    """A grid of planes as `decision_surface` draws them: by data set, and by model or features.

    rows: row name -> {column name -> Surface}; a column that a row lacks is left empty.

    Returns a Figure. Raises InputError as `decision_surface`, and if there is no surface.
    """
    from matplotlib.figure import Figure

    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    if not columns:
        raise InputError("rows: no surface in them, expected at least one")
    size = (CELL * len(columns) + 0.3, CELL * len(rows) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    cells = figure.subplots(len(rows), len(columns), squeeze=False)
    for axes, column in zip(cells[0], columns):
        axes.set_title(column, fontsize=SMALL + 1)
    for line, (row, surfaces) in zip(cells, rows.items()):
        line[0].set_ylabel(row, color=INK, fontsize=SMALL + 1, fontweight="bold")
        for axes, column in zip(line, columns):
            axes.set_xticks([])
            axes.set_yticks([])
            if column in surfaces:
                _draw(axes, surfaces[column], point_size=9)
            else:
                axes.spines[:].set_visible(False)
    return figure


def _draw(axes, surface, point_size):
    probabilities, extent, points, labels, accuracy = _checked(surface)
    classes = probabilities.shape[-1]
    palette = colours(classes)
    plane = 1 + STRENGTH * (blend(probabilities, palette) - 1)
    axes.imshow(plane, extent=extent, interpolation="bilinear", aspect="auto")
    for label, colour in enumerate(palette):
        axes.scatter(
            *points[labels == label].T,
            s=point_size,
            color=colour,
            marker=MARKERS[label % len(MARKERS)],
            edgecolors="white",
            linewidths=0.4,
        )
    axes.set(xlim=extent[:2], ylim=extent[2:], box_aspect=(extent[3] - extent[2]) / (extent[1] - extent[0]))
    if accuracy is not None:
        box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": MUTED, "linewidth": 0.5}
        corner = {"xy": (0.965, 0.035), "xycoords": "axes fraction", "ha": "right", "va": "bottom"}
        axes.annotate(f"{accuracy:.3f}", **corner, fontsize=SMALL, bbox=box)


def _checked(surface):
    probabilities, points, labels = map(np.asarray, (surface.probabilities, surface.points, surface.labels))
    extent = _checked_extent(surface.extent)
    if probabilities.ndim != 3 or probabilities.shape[-1] < 2 or not probabilities.size:
        raise InputError(f"probabilities: shape {probabilities.shape}, expected [H, W, K] with K of at least 2")
    if not (probabilities >= 0).all() or not np.allclose(probabilities.sum(axis=-1), 1, atol=1e-3):
        raise InputError("probabilities: negative or not summing to 1 over the last axis")
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"points: shape {points.shape}, expected [N, 2]")
    classes = probabilities.shape[-1]
    if labels.shape != points.shape[:1] or not np.isin(labels, np.arange(classes)).all():
        raise InputError(f"labels: expected {len(points)} of them, one for each point, in 0..{classes - 1}")
    return probabilities, extent, points, labels, surface.accuracy


def _checked_extent(extent):
    left, right, bottom, top = extent
    if not (left < right and bottom < top):
        raise InputError(
            f"extent: {tuple(extent)}, expected (left, right, bottom, top), left < right, bottom < top"
        )
    return left, right, bottom, top
