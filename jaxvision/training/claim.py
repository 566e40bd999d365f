"""The sentence an experiment illustrates, and whether it came out true."""

from typing import Any, NamedTuple


class Claim(NamedTuple):
    """Becomes `result.json["claim"]`.

    Attributes:
      text: the sentence.
      measured: the numbers it rests on, as JSON values.
      bound: what they have to meet, as in ">= 0.995".
      holds: whether they do.
    """

    text: str
    measured: Any
    bound: str
    holds: bool

    def __str__(self) -> str:
        return f"{'holds' if self.holds else 'DOES NOT HOLD'}: {self.text} (measured {self.measured}; {self.bound})"
