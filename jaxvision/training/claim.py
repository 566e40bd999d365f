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

    def sentence(self, *, trial: bool = False) -> str:
        """The claim with its verdict, then its numbers; a trial on generated images is no test of it."""
        verdict = "not judged in a trial" if trial else "holds" if self.holds else "DOES NOT HOLD"
        return f"{verdict}: {self.text}\n  measured: {in_words(self.measured)}\n  bound: {self.bound}"


def in_words(measured: Any) -> str:
    """Numbers with their names: "zeros: 0; he: 0.31", those of a part in brackets."""
    if isinstance(measured, dict):
        return "; ".join(f"{name}: {_inner(value)}" for name, value in measured.items())
    if isinstance(measured, list | tuple):
        return ", ".join(map(_inner, measured))
    return f"{measured:.4g}" if isinstance(measured, float) else str(measured)


def _inner(measured):
    return f"({in_words(measured)})" if isinstance(measured, dict | list | tuple) else in_words(measured)
