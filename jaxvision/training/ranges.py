"""What numbers a field of a config may hold, said where the field is: `width: PositiveInt = 64`."""

import math
from dataclasses import dataclass
from typing import Annotated, get_args, get_type_hints

from jaxvision.errors import InputError


@dataclass(frozen=True)
class Range:
    """Numbers from `least` up to `most`, or only below `below`, or only above `above`; finite ones only.

    Attributes:
      text: the same in words, as in "expected a positive number".
    """

    text: str
    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def __contains__(self, number: float) -> bool:
        return self.least <= number <= self.most and self.above < number < self.below


Seed = Annotated[int, Range("an integer from 0 to 2^32 - 1", least=0, most=2**32 - 1)]
PositiveInt = Annotated[int, Range("at least 1", least=1)]
NonNegativeInt = Annotated[int, Range("at least 0", least=0)]
FiniteFloat = Annotated[float, Range("a finite number")]
PositiveFloat = Annotated[float, Range("a positive number", above=0)]
NonNegativeFloat = Annotated[float, Range("a number that is not negative", least=0)]
Fraction = Annotated[float, Range("a number from 0 to 1", least=0, most=1)]
FractionBelowOne = Annotated[float, Range("a number from 0 to below 1", least=0, below=1)]


def check_ranges(config) -> None:
    """Hold every field of a dataclass against the range in its type; of a tuple, every element, one at least.

    A field that a subclass only gives another default keeps its range.

    Raises:
      InputError: the first that is out of its range, as a flag.
    """
    for name, allowed in _ranges(type(config)).items():
        value = getattr(config, name)
        if value == ():
            raise InputError(f"--{flag(name)}: expected one number or more")
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and number not in allowed:
                raise InputError(f"--{flag(name)} {number}: expected {allowed.text}")


def flag(name: str) -> str:
    """A field's name on the command line."""
    return name.replace("_", "-")


def _ranges(config_class):
    """{field: Range}, each from the most derived class that gives one."""
    ranges = {}
    for base in reversed(config_class.__mro__):
        for name, hint in get_type_hints(base, include_extras=True).items():
            if allowed := _range_of(hint):
                ranges[name] = allowed
    return ranges


def _range_of(hint):
    """The Range of an annotated type, or of what a tuple holds or an optional one can be, if it has any."""
    marks = [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Range)]
    return next((found for found in (*marks, *map(_range_of, get_args(hint))) if found), None)
