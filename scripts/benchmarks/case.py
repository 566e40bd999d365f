"""One comparison."""

from collections.abc import Callable
from dataclasses import dataclass

Run = Callable[[], float]


@dataclass(frozen=True)
class Case:
    """Ours against a peer, the peer at its best setting.

    Attributes:
      name: name of the case.
      ours: makes a function that runs once and returns how many units it did a second.
      peer_name: what the peer is.
      peers: the same for every setting of the peer, such as its number of threads; the best one counts.
    """

    name: str
    ours: Callable[[], Run]
    peer_name: str
    peers: dict[str, Callable[[], Run]]
