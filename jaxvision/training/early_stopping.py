"""Stop when the validation loss no longer falls (Prechelt 1998, "Early stopping - but when?")."""

from typing import NamedTuple


class EarlyStopping(NamedTuple):
    """What has been seen so far; an immutable record.

    Attributes:
      patience: evaluations without improvement after which to stop; 0 never stops.
      best: lowest validation loss seen.
      best_step: the step it was seen at; -1 before the first evaluation.
      waited: evaluations since.
    """

    patience: int
    best: float = float("inf")
    best_step: int = -1
    waited: int = 0

    def update(self, step: int, loss: float) -> "EarlyStopping":
        """The record after one more evaluation; once training should have stopped nothing changes it."""
        if self.should_stop:
            return self
        if loss < self.best:
            return self._replace(best=loss, best_step=step, waited=0)
        return self._replace(waited=self.waited + 1)

    @property
    def should_stop(self) -> bool:
        return 0 < self.patience <= self.waited
