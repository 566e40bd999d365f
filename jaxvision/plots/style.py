"""The look of every figure, in force while it is built and while it is saved, and at no other time."""

from contextlib import contextmanager

DPI = 120
PIXELS_PER_POINT = DPI / 72

# Blue and vermilion of Okabe & Ito (2008): told apart with every kind of colour vision, and in grey.
TRAIN, VALIDATION = "#0072B2", "#D55E00"
INK, MUTED, GRID = "#24292f", "#6e7781", "#e4e7eb"

FONT = "DejaVu Sans"  # ships with matplotlib: the same picture on every machine
SMALL, MEDIUM, LARGE = 8, 9, 11  # points

_RC = {
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "font.family": FONT,
    "font.size": MEDIUM,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$"
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.1,
    "axes.titlesize": LARGE,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
}


@contextmanager
def house_style():
    """Context manager, and decorator: `@house_style()`."""
    from matplotlib import rc_context

    with rc_context(_RC):
        yield


def text_width(text: str, points: float, weight: str = "normal") -> float:
    """Inches that one line of text is wide."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(family=FONT, weight=weight)))
    font.set_size(points, 72)
    font.set_text(text)
    width, _ = font.get_width_height()  # in 64ths of a point
    return width / 64 / 72
