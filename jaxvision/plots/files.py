"""Files that are either there and whole or not there."""

import io
import os
from pathlib import Path

from jaxvision.errors import InputError
from jaxvision.plots.style import DPI, house_style


@house_style()
def save(figure, path) -> None:
    """Write the figure as a PNG of 120 dpi; its directory is made when missing.

    Raises InputError if the name does not end in .png.
    """
    path = Path(path)
    if path.suffix != ".png":
        raise InputError(f"{path}: figures are written as PNG, expected a name that ends in .png")
    write_atomically(path, png(figure))


@house_style()
def png(figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target and rename: a reader, or a crash, never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
