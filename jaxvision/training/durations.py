"""Lengths of training in steps, epochs or examples: "100 steps", "0.5 epochs", "50000 examples"."""

import re

from jaxvision.errors import InputError

PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(?:(step|epoch|example)s?)?\s*", re.IGNORECASE)


def to_steps(duration: str | int | float, *, batch_size: int, examples: int) -> int:
    """The number of train steps, at least 1, nearest to `duration`.

    Args:
      duration: a number with its unit; a bare number means steps.
      batch_size: examples a step, over all devices.
      examples: examples an epoch.

    Raises:
      InputError: `duration` is not a positive number with a known unit.
    """
    match = PATTERN.fullmatch(str(duration))
    if not match or float(match[1]) <= 0:
        raise InputError(
            f"not a duration: {str(duration)!r}; expected a positive number of steps, epochs or examples, "
            "such as '100 steps', '1 epoch' or '50000 examples'"
        )
    amount, unit = float(match[1]), (match[2] or "step").lower()
    steps = {"step": amount, "epoch": amount * examples / batch_size, "example": amount / batch_size}[unit]
    return max(1, round(steps))
