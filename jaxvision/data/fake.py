"""Small made-up data that can be learnt in a few steps, for smoke runs and tests."""

import numpy as np

from jaxvision.data.catalog import BUILT_IN
from jaxvision.data.memory import InMemory
from jaxvision.data.splits import DatasetInfo, Splits

SIZES = {"train": 64, "validation": 32, "test": 32}
DEFAULT_SHAPE = (32, 32, 3)
DEFAULT_CLASSES = tuple(f"class{k}" for k in range(10))
SEED = 20260102


def fake(name: str, *, image_size: tuple[int, int] | None = None) -> Splits:
    """Splits of 64, 32 and 32 examples: shape and classes those of a built-in name, else 32x32x3 and ten."""
    built_in = BUILT_IN.get(name)
    shape = built_in.image_shape if built_in else DEFAULT_SHAPE
    if image_size:
        shape = (*image_size, shape[2])
    class_names = built_in.class_names if built_in else DEFAULT_CLASSES
    splits = {split: _blobs(size, shape, len(class_names), i) for i, (split, size) in enumerate(SIZES.items())}
    info = DatasetInfo(name, shape, class_names, dict(SIZES))
    return Splits(info, splits["train"], splits["validation"], lambda: splits["test"])


def _blobs(size: int, shape: tuple[int, int, int], num_classes: int, stream: int) -> InMemory:
    """One bright blob an image, on a circle at an angle and in a colour that tell the class, under noise."""
    height, width, channels = shape
    rng = np.random.default_rng([SEED, stream])
    labels = rng.permutation(np.arange(size) % num_classes)
    angles = 2 * np.pi * labels / num_classes
    rows = (0.5 + 0.3 * np.sin(angles)).reshape(-1, 1, 1) - np.linspace(0, 1, height).reshape(1, -1, 1)
    columns = (0.5 + 0.3 * np.cos(angles)).reshape(-1, 1, 1) - np.linspace(0, 1, width).reshape(1, 1, -1)
    blobs = np.exp(-(rows**2 + columns**2) / (2 * 0.15**2))
    phases = 2 * np.pi * np.arange(channels) / channels
    colours = 0.75 + 0.25 * np.cos(angles[:, None] + phases)
    noise = rng.uniform(0, 50, (size, *shape))
    images = 200 * blobs[..., None] * colours[:, None, None, :] + noise
    return InMemory(images.astype(np.uint8), labels)
