"""Statistics of training images, exact over the whole split."""

from collections.abc import Iterator

import numpy as np

from jaxvision.data.dataset import Dataset

EXAMPLES_AT_A_TIME = 1024


def channel_statistics(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Mean [C] and standard deviation [C] of every channel, float32, of pixels in [0,1]."""
    total = squares = 0
    for images in _chunks(dataset):
        total = total + images.sum(0, dtype=np.uint64)
        squares = squares + np.square(images, dtype=np.uint16).sum(0, dtype=np.uint64)
    mean = (total / len(dataset)).mean((0, 1))
    deviation = np.sqrt((squares / len(dataset)).mean((0, 1)) - mean**2)
    return (mean / 255).astype(np.float32), (deviation / 255).astype(np.float32)


def mean_image(dataset: Dataset) -> np.ndarray:
    """Mean image [H,W,C], float32, of pixels in [0,1]."""
    total = sum(images.sum(0, dtype=np.uint64) for images in _chunks(dataset))
    return (total / (255 * len(dataset))).astype(np.float32)


def _chunks(dataset: Dataset) -> Iterator[np.ndarray]:
    for start in range(0, len(dataset), EXAMPLES_AT_A_TIME):
        yield dataset.gather(np.arange(start, min(start + EXAMPLES_AT_A_TIME, len(dataset))))["image"]
