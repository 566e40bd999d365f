"""The networks of the suites: what they see, and how much of it a turn of a benchmark takes.

`networks_ours`, `networks_linen` and `networks_torch` hold the same architectures under the same names of layers,
each as its users write it.
"""

from dataclasses import dataclass

import numpy as np

MEAN, STD = 0.5, 0.25
LEARNING_RATE, MOMENTUM = 1e-3, 0.9

BOTTLENECK_WIDTHS = (64, 128, 256, 512)  # a block each
SEPARABLE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (1024, 2))  # (features, stride)


@dataclass(frozen=True)
class Setting:
    """`steps` of `batch_size` images [H, W, C] are an epoch; one turn, of about a second, trains for one."""

    image_shape: tuple[int, int, int]
    batch_size: int
    steps: int


SETTINGS = {
    "lenet": Setting((28, 28, 1), 128, 120),
    "course_cnn": Setting((32, 32, 3), 128, 16),
    "resnet20": Setting((32, 32, 3), 128, 6),
    "bottleneck_224": Setting((224, 224, 3), 16, 2),
    "depthwise_224": Setting((224, 224, 3), 16, 1),
}


def random_examples(count: int, image_shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, H, W, C] and labels int32 [N]; how fast a step is does not depend on what they show."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, *image_shape), np.uint8), rng.integers(0, 10, count).astype(np.int32)


def normalised(images: np.ndarray) -> np.ndarray:
    """What a network sees of images uint8: float32, about -2 to 2."""
    return (images.astype(np.float32) / 255 - MEAN) / STD
