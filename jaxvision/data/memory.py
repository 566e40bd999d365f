"""A data set whose decoded images lie in one array, indexed with numpy: millions of small images a second."""

from collections.abc import Iterator
from itertools import count

import numpy as np

from jaxvision.data.dataset import ALL_ROWS, Batch, check_order, evaluation_indices, gather_padded
from jaxvision.data.order import TrainingOrder


class InMemory:
    """The `Dataset` of images uint8 [M,H,W,C] and labels [M], or of `examples`, positions [N], among them."""

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        examples: np.ndarray | None = None,
        *,
        is_test: bool = False,
    ):
        self.is_test = is_test
        self._images = images
        self._all_labels = np.asarray(labels, np.int32)
        self._examples = np.arange(len(images)) if examples is None else examples
        self.labels = self._all_labels[self._examples]

    def __len__(self) -> int:
        return len(self._examples)

    def gather(self, indices: np.ndarray) -> Batch:
        indices = np.asarray(indices, np.int32)
        return {
            "image": self._images[self._examples[indices]],
            "label": self.labels[indices],
            "index": indices,
        }

    def take(self, indices: np.ndarray) -> "InMemory":
        return InMemory(self._images, self._all_labels, self._examples[indices], is_test=self.is_test)

    def renumbered(self, numbers: np.ndarray) -> "InMemory":
        return InMemory(self._images, numbers[self._all_labels], self._examples, is_test=self.is_test)

    def joined(self, other: "InMemory") -> "InMemory":
        is_test = self.is_test or other.is_test
        if other._images is self._images and other._all_labels is self._all_labels:
            examples = np.concatenate([self._examples, other._examples])
            return InMemory(self._images, self._all_labels, examples, is_test=is_test)
        both = self.resident(), other.resident()
        arrays = (np.concatenate([one[name] for one in both]) for name in ("image", "label"))
        return InMemory(*arrays, is_test=is_test)

    def resident(self) -> Batch:
        return {"image": self._images[self._examples], "label": self.labels}

    def train_batches(self, order: TrainingOrder, start_step: int, rows: slice = ALL_ROWS) -> Iterator[Batch]:
        check_order(self, order)
        return (self.gather(order.batch(step)[..., rows]) for step in count(start_step))

    def evaluation_batches(self, batch_size: int, rows: slice = ALL_ROWS) -> Iterator[Batch]:
        return (gather_padded(self, indices) for indices in evaluation_indices(len(self), batch_size, rows))
