import math
import re
from dataclasses import dataclass

import pytest

from jaxvision.errors import InputError
from jaxvision.training.config import TrainConfig, resolve
from jaxvision.training.population import members_of
from jaxvision.training.ranges import (
    FiniteFloat,
    Fraction,
    FractionBelowOne,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    check_ranges,
)


@dataclass(frozen=True)
class Ranged:
    seed: Seed = 0
    width: PositiveInt = 1
    shift_px: NonNegativeInt = 0
    brightness: FiniteFloat = -1.0
    rate: PositiveFloat = 1e-9
    weight_decay: NonNegativeFloat = 0.0
    share: Fraction = 1.0
    momentum: FractionBelowOne = 0.0
    widths: tuple[PositiveInt, ...] = (1,)
    clip_norm: PositiveFloat | None = None
    std: tuple[PositiveFloat, PositiveFloat] | None = None
    free: float = math.nan


def test_the_edges_that_belong_to_a_range():
    check_ranges(Ranged())
    check_ranges(Ranged(seed=2**32 - 1, share=0.0, momentum=0.999, clip_norm=1e9, std=(1.0, 2.0)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", 2**32, "--seed 4294967296: expected an integer from 0 to 2^32 - 1"),
        ("seed", -1, "--seed -1: expected"),
        ("width", 0, "--width 0: expected at least 1"),
        ("shift_px", -1, "--shift-px -1: expected at least 0"),
        ("brightness", math.inf, "--brightness inf: expected a finite number"),
        ("brightness", math.nan, "--brightness nan: expected a finite number"),
        ("rate", 0.0, "--rate 0.0: expected a positive number"),
        ("rate", math.inf, "--rate inf: expected a positive number"),
        ("rate", math.nan, "--rate nan: expected a positive number"),
        ("weight_decay", -1e-9, "--weight-decay -1e-09: expected a number that is not negative"),
        ("share", 1.5, "--share 1.5: expected a number from 0 to 1"),
        ("momentum", 1.0, "--momentum 1.0: expected a number from 0 to below 1"),
        ("widths", (8, 0), "--widths 0: expected at least 1"),
        ("widths", (), "--widths: expected one number or more"),
        ("clip_norm", 0.0, "--clip-norm 0.0: expected a positive number"),
        ("std", (1.0, 0.0), "--std 0.0: expected a positive number"),
    ],
)
def test_a_number_out_of_its_range_is_named_as_a_flag(field, value, message):
    with pytest.raises(InputError, match=re.escape(message)):
        check_ranges(Ranged(**{field: value}))


@dataclass(frozen=True)
class OtherDefaults(TrainConfig):
    batch_size: int = 32
    weight_decay: NonNegativeFloat = 0.1


def test_another_default_keeps_the_range():
    with pytest.raises(InputError, match="--batch-size 0"):
        resolve(OtherDefaults(batch_size=0))


def test_what_a_flag_refuses_can_not_be_varied():
    hyper = {"learning_rate": 1e-3, "weight_decay": 0.1}
    with pytest.raises(InputError, match="--vary weight_decay=0,-1: --weight-decay -1"):
        members_of(OtherDefaults(vary=("weight_decay=0,-1",)), hyper)
    assert len(members_of(OtherDefaults(vary=("weight_decay=0,1",)), hyper)) == 2
