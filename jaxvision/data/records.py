"""Prepared records of one split: encoded on disk, decoded on demand or, once for all, into a cached array."""

import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from jaxvision.files import write_whole

DECODED_AT_A_TIME = 256

Crop = Callable[[np.ndarray], np.ndarray]


class Records:
    """The records of `split` in a prepared `directory`; images are delivered in `image_shape` (H, W, C).

    `crop` as for `decode`.
    """

    def __init__(self, directory: Path, split: str, image_shape: tuple[int, int, int], crop: Crop | None = None):
        self.directory, self.split, self.image_shape, self.crop = directory, split, image_shape, crop

    @cached_property
    def _source(self):
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(self.directory)
        return builder.as_data_source(self.split, decoders={"image": tfds.decode.SkipDecoding()})

    def images(self, indices: np.ndarray) -> np.ndarray:
        """Decoded images uint8 [len(indices), H, W, C]."""
        images = np.empty((len(indices), *self.image_shape), np.uint8)
        for row, record in enumerate(self._source.__getitems__([int(i) for i in indices])):
            images[row] = decode(record["image"], self.image_shape, self.crop)
        return images

    def all_images(self) -> np.ndarray:
        """All images uint8 [N,H,W,C], memory-mapped from a cache beside the records.

        Made on first use; where the directory cannot be written, the decoded images just stay in memory. So do
        those of a `crop`, which has no name to find them by.
        """
        height, width, _ = self.image_shape
        cache = self.directory / f"decoded_{self.split}_{height}x{width}.npy"
        shape = (len(labels_of(self.directory, self.split)), *self.image_shape)
        if self.crop is not None:
            return self._decode_all(shape)
        try:
            return _cached(cache, shape)
        except (OSError, EOFError, ValueError):  # absent, or not what it should be
            pass
        images = self._decode_all(shape)
        try:
            write_whole(cache, partial(np.save, arr=images))
            return _cached(cache, shape)
        except OSError:
            return images

    def _decode_all(self, shape: tuple[int, ...]) -> np.ndarray:
        images = np.empty(shape, np.uint8)
        chunks = [
            range(i, min(i + DECODED_AT_A_TIME, len(images))) for i in range(0, len(images), DECODED_AT_A_TIME)
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for chunk, decoded in zip(chunks, pool.map(self.images, chunks)):
                images[chunk.start : chunk.stop] = decoded
        return images


def _cached(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    images = np.load(path, mmap_mode="r", allow_pickle=False)
    if images.shape != shape or images.dtype != np.uint8:
        raise ValueError(f"{path}: {images.dtype}{images.shape}")
    return np.asarray(images)


def labels_of(directory: Path, split: str) -> np.ndarray:
    """Labels int32 [N] of a prepared split, without reading its records."""
    return np.load(directory / f"labels_{split}.npy", allow_pickle=False)


def decode(encoded: bytes, image_shape: tuple[int, int, int], crop: Crop | None = None) -> np.ndarray:
    """An encoded image as uint8 [H,W,C] of this shape.

    One of another size is scaled until it just covers the target and its centre cut out, in a single
    antialiased bilinear resampling; or `crop` makes it of the whole image, uint8 [h,w,C].
    """
    from PIL import Image

    height, width, channels = image_shape
    with Image.open(io.BytesIO(encoded)) as image:
        image = image.convert("L" if channels == 1 else "RGB")
    if crop is not None:
        return crop(np.asarray(image).reshape(image.height, image.width, channels))
    if image.size != (width, height):
        image = image.resize(
            (width, height), Image.Resampling.BILINEAR, box=_covering_box(image.size, (width, height))
        )
    return np.asarray(image).reshape(image_shape)


def _covering_box(size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest centred part (left, top, right, bottom) of `size` with the proportions of `target`."""
    scale = min(size[0] / target[0], size[1] / target[1])
    width, height = target[0] * scale, target[1] * scale
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height
