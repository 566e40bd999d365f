"""What a split of a data set can do, whether it lies in memory or streams from disk."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from jaxvision.data.order import TrainingOrder
from jaxvision.errors import InputError

Batch = dict[str, np.ndarray]
ALL_ROWS = slice(None)


class Dataset(Protocol):
    """N labelled images. Both implementations give the same examples in the same order.

    A batch has "image" uint8 [B,H,W,C], "label" int32 [B] and "index" int32 [B], the position in the data
    set. `rows` is the part of the global batch that this process supplies.
    """

    labels: np.ndarray  # int32 [N]
    is_test: bool  # whether these are examples of a test split

    def __len__(self) -> int: ...

    def gather(self, indices: np.ndarray) -> Batch:
        """The examples at these positions, [B] or, of the members of a population, [P, B]."""

    def take(self, indices: np.ndarray) -> "Dataset":
        """The data set of these examples, in this order, numbered from 0; copies no image."""

    def renumbered(self, numbers: np.ndarray) -> "Dataset":
        """The same examples with the label numbers[k] where it was k."""

    def joined(self, other: "Dataset") -> "Dataset":
        """The examples of both, this one's first, numbered from 0."""

    def resident(self) -> Batch | None:
        """All images and labels, without "index"; None when they do not lie in memory."""

    def train_batches(self, order: TrainingOrder, start_step: int, rows: slice = ALL_ROWS) -> Iterator[Batch]:
        """The batches of `order` from `start_step` on, without end; [P, B, ...] for a `PopulationOrder`."""

    def evaluation_batches(self, batch_size: int, rows: slice = ALL_ROWS) -> Iterator[Batch]:
        """Every example once, in order, in full batches with "mask" float32 [B].

        The last batch is padded: index -1, mask 0, image and label those of example 0.
        """


def evaluation_indices(num_examples: int, batch_size: int, rows: slice) -> np.ndarray:
    """Positions int32 [batches, local B] of an evaluation, -1 where the last batch is padded."""
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; expected at least 1")
    num_batches = -(-num_examples // batch_size)
    indices = np.full(num_batches * batch_size, -1, np.int32)
    indices[:num_examples] = np.arange(num_examples)
    return indices.reshape(num_batches, batch_size)[:, rows]


def gather_padded(dataset: Dataset, indices: np.ndarray) -> Batch:
    """`dataset.gather` with "mask", for indices of which some are -1."""
    batch = dataset.gather(np.maximum(indices, 0))
    return {**batch, "index": indices, "mask": (indices >= 0).astype(np.float32)}


def check_order(dataset: Dataset, order: TrainingOrder) -> None:
    if order.num_examples != len(dataset):
        raise InputError(f"the training order is of {order.num_examples} examples, the data set has {len(dataset)}")
