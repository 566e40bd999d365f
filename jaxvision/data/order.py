"""The order of training: which examples make up which step, as a pure function of the step.

Permutations, one an epoch, are laid end to end and cut into batches. A batch may straddle two epochs, so
every epoch visits each example exactly once, nothing is dropped, and a run resumes at any step without
iterator state.
"""

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from jaxvision.errors import InputError


@dataclass(frozen=True)
class TrainingOrder:
    num_examples: int
    batch_size: int
    seed: int

    def __post_init__(self):
        for name in ("num_examples", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected 0 or more")
        # A batch may straddle two epochs; each member of a population remembers its own.
        permutation = lru_cache(maxsize=2)(partial(epoch_permutation, self.num_examples, self.seed))
        object.__setattr__(self, "_permutation", permutation)

    @property
    def examples(self) -> np.ndarray:
        """Positions int32 [num_examples] of what it visits."""
        return np.arange(self.num_examples, dtype=np.int32)

    def batch(self, step: int) -> np.ndarray:
        """Positions int32 [batch_size] of the examples of one step."""
        return self.batches(step, step + 1)[0]

    def batches(self, start: int, stop: int) -> np.ndarray:
        """Positions int32 [stop - start, batch_size] of the steps from `start` to before `stop`."""
        first, last, size = start * self.batch_size, stop * self.batch_size, self.num_examples
        pieces = [np.empty(0, np.int32)]
        for epoch in range(first // size, -(-last // size)):
            epoch_start = epoch * size
            permutation = self._permutation(epoch)
            pieces.append(permutation[max(first - epoch_start, 0) : last - epoch_start])
        return np.concatenate(pieces).reshape(stop - start, self.batch_size)


class FoldOrder:
    """A training order of some `examples`, positions among `num_examples`: the others are held out."""

    def __init__(self, num_examples: int, examples: np.ndarray, batch_size: int, seed: int):
        self.num_examples, self.batch_size = num_examples, batch_size
        self.examples = np.asarray(examples, np.int32)
        self._order = TrainingOrder(len(examples), batch_size, seed)

    def batch(self, step: int) -> np.ndarray:
        return self.examples[self._order.batch(step)]

    def batches(self, start: int, stop: int) -> np.ndarray:
        return self.examples[self._order.batches(start, stop)]


class PopulationOrder:
    """The orders of P members side by side: a step has the positions int32 [P, batch_size]."""

    def __init__(self, orders: list[TrainingOrder | FoldOrder]):
        self.orders = orders
        self.num_examples, self.batch_size = orders[0].num_examples, orders[0].batch_size

    def batch(self, step: int) -> np.ndarray:
        return np.stack([order.batch(step) for order in self.orders])

    def batches(self, start: int, stop: int) -> np.ndarray:
        return np.stack([order.batches(start, stop) for order in self.orders], axis=1)


def epoch_permutation(num_examples: int, seed: int, epoch: int) -> np.ndarray:
    """The order int32 [num_examples] of one epoch, read-only."""
    permutation = np.random.default_rng([seed, epoch]).permutation(num_examples).astype(np.int32)
    permutation.flags.writeable = False
    return permutation
