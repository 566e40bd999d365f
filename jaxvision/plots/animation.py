"""Moving pictures as GIF files."""

import io
from pathlib import Path

import numpy as np

from jaxvision.errors import InputError
from jaxvision.files import write_whole
from jaxvision.plots.files import png

MOST_FPS = 50  # browsers slow faster ones down


def animation(frames, path, *, fps=10) -> None:
    """Write the frames as a GIF that repeats; its directory is made when missing.

    frames: uint8 [T, H, W, 3], or an iterable of such pictures or of Figures, drawn one at a time.
    fps: frames a second, up to 50; a frame's time is rounded to hundredths of a second. A frame equal to the
    one before is stored as a longer time of that.

    Raises InputError if the name does not end in .gif, for another fps, no frame, and for pictures of other
    types or of several sizes.
    """
    path = Path(path)
    if path.suffix != ".gif":
        raise InputError(f"{path}: animations are written as GIF, expected a name that ends in .gif")
    if not 0 < fps <= MOST_FPS:
        raise InputError(f"fps: {fps}, expected above 0 and up to {MOST_FPS}")
    pictures = _of_one_size(map(_picture, frames))
    first = next(pictures, None)
    if first is None:
        raise InputError("frames: none, expected at least one")
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"save_all": True, "append_images": pictures, "duration": 10 * round(100 / fps), "loop": 0}
    write_whole(path, lambda file: first.save(file, format="GIF", **options))


def _picture(frame):
    """In 256 colours, chosen to cover those of the frame: the usual choice by area greys a thin line."""
    from PIL.Image import Dither, Quantize

    return _in_colour(frame).quantize(256, Quantize.MAXCOVERAGE, kmeans=1, dither=Dither.NONE)


def _in_colour(frame):
    from PIL import Image

    if hasattr(frame, "savefig"):
        return Image.open(io.BytesIO(png(frame))).convert("RGB")
    frame = np.asarray(frame)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3:
        raise InputError(f"frames: {frame.dtype} of shape {frame.shape}, expected Figures or uint8 [H, W, 3]")
    return Image.fromarray(frame)


def _of_one_size(pictures):
    size = None
    for picture in pictures:
        if picture.size != (size := size or picture.size):
            raise InputError(f"frames: one of {picture.size} pixels after one of {size}, expected one size")
        yield picture
