"""A data set too large for memory: records are read and decoded as they are needed, by Grain's threads."""

import os
from collections.abc import Callable, Iterator

import numpy as np

from jaxvision.data.dataset import ALL_ROWS, Batch, check_order, evaluation_indices, gather_padded
from jaxvision.data.order import TrainingOrder
from jaxvision.data.records import Records
from jaxvision.errors import InputError

ENDLESS = 2**62
PREFETCHED_BATCHES = 4


class Streaming:
    """The `Dataset` of records with labels [M], or of `examples`, positions [N], among them."""

    def __init__(
        self, records: Records, labels: np.ndarray, examples: np.ndarray | None = None, *, is_test: bool = False
    ):
        self.is_test = is_test
        self._records = records
        self._all_labels = np.asarray(labels, np.int32)
        self._examples = np.arange(len(labels)) if examples is None else examples
        self.labels = self._all_labels[self._examples]

    def __len__(self) -> int:
        return len(self._examples)

    def gather(self, indices: np.ndarray) -> Batch:
        indices = np.asarray(indices, np.int32)
        images = self._records.images(self._examples[indices.reshape(-1)])
        return {
            "image": images.reshape(*indices.shape, *images.shape[1:]),
            "label": self.labels[indices],
            "index": indices,
        }

    def take(self, indices: np.ndarray) -> "Streaming":
        return Streaming(self._records, self._all_labels, self._examples[indices], is_test=self.is_test)

    def renumbered(self, numbers: np.ndarray) -> "Streaming":
        return Streaming(self._records, numbers[self._all_labels], self._examples, is_test=self.is_test)

    def joined(self, other: "Streaming") -> "Streaming":
        if other._records is not self._records or other._all_labels is not self._all_labels:
            raise InputError("joining data sets that stream from different files: prepare them as one split")
        examples = np.concatenate([self._examples, other._examples])
        return Streaming(self._records, self._all_labels, examples, is_test=self.is_test or other.is_test)

    def resident(self) -> None:
        return None

    def train_batches(self, order: TrainingOrder, start_step: int, rows: slice = ALL_ROWS) -> Iterator[Batch]:
        check_order(self, order)
        return _prefetched(lambda step: self.gather(order.batch(step)[..., rows]), range(start_step, ENDLESS))

    def evaluation_batches(self, batch_size: int, rows: slice = ALL_ROWS) -> Iterator[Batch]:
        indices = evaluation_indices(len(self), batch_size, rows)
        return _prefetched(lambda i: gather_padded(self, indices[i]), range(len(indices)))


def _prefetched(batch: Callable[[int], Batch], numbers: range) -> Iterator[Batch]:
    """`batch(number)` for every number, in order, each made by one of several threads ahead of its use."""
    import grain

    options = grain.ReadOptions(num_threads=os.cpu_count() or 1, prefetch_buffer_size=PREFETCHED_BATCHES)
    return iter(grain.MapDataset.range(numbers.start, numbers.stop).map(batch).to_iter_dataset(options))
