"""One comparison."""

from collections.abc import Callable
from dataclasses import dataclass

Run = Callable[[], float]
Make = Callable[[], Run]


class Unavailable(Exception):
    """A peer can't run here; the message says why."""


@dataclass(frozen=True)
class Case:
    """Ours against one or more peers.

    Attributes:
      name: name of the case.
      unit: of the figures, such as "images/s".
      ours: makes a function that runs once and returns its figure.
      peers: the same for every peer; the summary ratio is against the first. One may raise `Unavailable`.
      less_is_better: as of seconds and MiB, where it is not of rates.
      columns: given the median of ours, what else the line of results shall say.
    """

    name: str
    unit: str
    ours: Make
    peers: dict[str, Make]
    less_is_better: bool = False
    columns: Callable[[float], dict] = lambda ours: {}


def best_of(*settings: Make) -> Make:
    """A peer at the best of its settings, such as the number of threads: turn by turn the highest rate counts."""

    def make():
        runs = [setting() for setting in settings]
        return lambda: max(run() for run in runs)

    return make


def shown(figure: float) -> str:
    """A figure as people read it: whole from 100 on, below to three digits."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"
