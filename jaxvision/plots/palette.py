"""Colours and markers that tell classes or methods apart, with every kind of colour vision."""

from jaxvision.plots.style import INK, TRAIN, VALIDATION

# Okabe & Ito (2008) without yellow, which is lost on white.
CATEGORIES = (TRAIN, VALIDATION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def colours(count: int) -> list[str]:
    """So many hex colours: up to seven of their own, more along the ordered map viridis."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if count <= len(CATEGORIES):
        return list(CATEGORIES[:count])
    return [to_hex(colormaps["viridis"](0.9 * index / (count - 1))) for index in range(count)]
