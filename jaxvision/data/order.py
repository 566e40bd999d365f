"""The order of training: which examples make up which step, as a pure function of the step.

Permutations, one an epoch, are laid end to end and cut into batches. A batch may straddle two epochs, so
every epoch visits each example exactly once, nothing is dropped, and a run resumes at any step without
iterator state.
"""

from dataclasses import dataclass
from functools import lru_cache

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

    def batch(self, step: int) -> np.ndarray:
        """Positions int32 [batch_size] of the examples of one step."""
        return self.batches(step, step + 1)[0]

    def batches(self, start: int, stop: int) -> np.ndarray:
        """Positions int32 [stop - start, batch_size] of the steps from `start` to before `stop`."""
        first, last, size = start * self.batch_size, stop * self.batch_size, self.num_examples
        pieces = [np.empty(0, np.int32)]
        for epoch in range(first // size, -(-last // size)):
            epoch_start = epoch * size
            permutation = epoch_permutation(size, self.seed, epoch)
            pieces.append(permutation[max(first - epoch_start, 0) : last - epoch_start])
        return np.concatenate(pieces).reshape(stop - start, self.batch_size)


@lru_cache(maxsize=4)
def epoch_permutation(num_examples: int, seed: int, epoch: int) -> np.ndarray:
    """The order int32 [num_examples] of one epoch, read-only."""
    permutation = np.random.default_rng([seed, epoch]).permutation(num_examples).astype(np.int32)
    permutation.flags.writeable = False
    return permutation
