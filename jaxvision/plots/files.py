"""Figures as PNG files."""

import io
from pathlib import Path

from jaxvision.errors import InputError
from jaxvision.files import write_whole
from jaxvision.plots.style import DPI, house_style


@house_style()
def save(figure, path) -> None:
    """Write the figure as a PNG of 120 dpi; its directory is made when missing.

    Raises InputError if the name does not end in .png.
    """
    path = Path(path)
    check_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, png(figure))


def check_name(path: Path) -> None:
    """Raise InputError if the name does not end in .png."""
    if path.suffix != ".png":
        raise InputError(f"{path}: figures are written as PNG, expected a name that ends in .png")


@house_style()
def png(figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
