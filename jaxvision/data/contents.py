"""What a reader makes of raw files and a builder turns into records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SplitContents:
    """`labels` int32 [N]; `images`, N encoded images, can be iterated over once."""

    labels: np.ndarray
    images: Iterable[bytes]
    file_names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Contents:
    """`image_shape` is (H, W, C), H and W None where sizes differ; `skipped` names images left out."""

    image_shape: tuple[int | None, int | None, int]
    class_names: tuple[str, ...]
    splits: Mapping[str, SplitContents]
    skipped: tuple[str, ...] = ()
