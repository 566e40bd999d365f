"""A blank page measured in pixels from its top left corner.

Pictures are laid on it at whole multiples of their size: a pixel becomes a square block, nothing is blurred.
One Axes holds hundreds of them, where an Axes each would take seconds.
"""

import textwrap

import numpy as np

from jaxvision.plots.style import DPI, INK, PIXELS_PER_POINT, text_width

MARGIN = 12
LINE = 1.25  # line height over font size


def blank_page(width: int, height: int):
    """Figure and Axes of so many pixels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return figure, axes


def drawn_size(height: int, width: int, *, near: int, most: int) -> tuple[int, int]:
    """Height and width on the page: a whole multiple, longer side about `near`; shrunk beyond `most`."""
    longer = max(height, width)
    factor = max(1, round(near / longer))
    if longer * factor <= most:
        return height * factor, width * factor
    return max(1, round(height * most / longer)), max(1, round(width * most / longer))


def place(axes, picture, left: int, top: int, size: tuple[int, int], cmap: str, limits: tuple[float, float]):
    """Lay a picture [H, W] or [H, W, 3] down, its top left corner here; limits: the values it spans."""
    height, width = size
    if picture.ndim == 3:  # imshow maps only [H, W] to limits
        picture = np.clip((picture - limits[0]) / (limits[1] - limits[0]), 0, 1)
    whole = height % picture.shape[0] == 0 and width % picture.shape[1] == 0
    return axes.imshow(
        picture,
        extent=(left, left + width, top + height, top),
        aspect="auto",
        interpolation="nearest" if whole else "auto",
        cmap=cmap,
        vmin=limits[0],
        vmax=limits[1],
    )


def write(axes, lines: list[str], x: float, y: float, points: float, **font):
    """Write lines of text to the right of this point and downwards, unless `ha` and `va` say otherwise."""
    font = {"ha": "left", "va": "top", "color": INK, "linespacing": 1.1} | font
    return axes.text(x, y, "\n".join(lines), fontsize=points, **font)


def wrap(text: str, width: float, points: float, weight: str = "normal") -> list[str]:
    """Break the text into lines of about so many pixels, by the width of its average letter."""
    if not text.strip():
        return []
    lines_needed = text_width(text, points, weight) * DPI / width
    return textwrap.wrap(text, max(4, int(len(text) / lines_needed)))


def lines_height(count: int, points: float) -> int:
    """Pixels that so many lines of text take."""
    return round(count * points * LINE * PIXELS_PER_POINT)
