"""Populations: many seeds, and many settings of the numbers in `hyper`, trained as one State with a leading axis.

A population is `jax.vmap` of the train step inside the device mapping, so the same step, loop, hooks and
checkpoints serve it. Where a member keeps a CPU busy by itself, members take turns instead (`dispatch.InTurn`).
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.errors import InputError
from jaxvision.training.config import check_numbers

CONVOLUTIONS = ("convolve_", "conv_general_dilated")
LEAST_BATCH_IN_TURN = 64  # a convolutional network's step on so many images is work enough for a few cores


class Member(NamedTuple):
    """One of a population.

    Attributes:
      seed: root of its random numbers; a run by itself with this seed gives the same parameters up to rounding.
      hyper: the numbers of `Task.hyper`, with this member's values.
    """

    seed: int
    hyper: dict[str, float]

    def __str__(self) -> str:
        return ", ".join([f"seed {self.seed}", *(f"{name} {value:g}" for name, value in self.hyper.items())])


def members_of(config, hyper: dict[str, float]) -> list[Member]:
    """The members a config asks for: `population` seeds from `seed` on, for every combination of what varies.

    Raises:
      InputError: `vary` is not NAME=NUMBER,NUMBER,... with names of `hyper`, has a name twice, or a number that the
        flag of this name refuses. Or the last seed is no longer one of 32 bits.
    """
    seeds = range(config.seed, config.seed + config.population)
    if seeds[-1] >= 2**32:
        raise InputError(f"--seed {config.seed} --population {config.population}: expected seeds up to 2^32 - 1")
    varied = {}
    for entry in config.vary:
        name, numbers = _parse(entry, hyper)
        if name in varied:
            raise InputError(f"--vary {entry}: {name} is there already, expected all its numbers in one place")
        _check_as_flags(entry, name, numbers, config)
        varied[name] = numbers
    return [
        Member(seed, {**hyper, **dict(zip(varied, values))})
        for values in itertools.product(*varied.values())
        for seed in seeds
    ]


def _parse(entry, hyper):
    """("learning_rate", [0.01, 0.1]) of "learning_rate=0.01,0.1"."""
    name, _, values = entry.partition("=")
    if name not in hyper:
        raise InputError(f"--vary {entry}: expected one of {', '.join(sorted(hyper))} before an equals sign")
    try:
        numbers = [float(value) for value in values.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"--vary {entry}: expected numbers with commas between them, as in {name}=0.01,0.1")
    return name, numbers


def _check_as_flags(entry, name, numbers, config):
    """A number that is refused as a flag is refused here too."""
    for number in numbers if hasattr(config, name) else ():
        try:
            check_numbers(dataclasses.replace(config, **{name: number}))
        except InputError as error:
            raise InputError(f"--vary {entry}: {error}") from None


def make_population_step(step: Callable, *, shared_batches: bool) -> Callable:
    """A train step of all members at once: State [P, ...], and the batch [P, B, ...] unless they share one."""
    return jax.vmap(step, in_axes=(0, None if shared_batches else 0, None))


def takes_turns(step: Callable, state, batch, batch_size: int) -> bool:
    """Whether members are faster one after another than side by side, here and for this step of one member.

    Side by side, a matrix product of every member becomes one batched product, and hundreds of small calls one. A
    convolution whose kernels differ from member to member becomes a grouped one instead, slow on a CPU.
    """
    if jax.default_backend() != "cpu" or batch_size < LEAST_BATCH_IN_TURN:
        return False
    program = str(jax.make_jaxpr(step)(state, batch, 0))
    return any(name in program for name in CONVOLUTIONS)


def stack(trees: list):
    """One tree with a leading axis [P]."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def take(tree, member: int):
    """The tree of one member."""
    return jax.tree.map(lambda leaf: leaf[member], tree)


def of_members(tree, members: list[int]):
    """The tree [P, ...] of some members only."""
    return jax.tree.map(lambda leaf: leaf[np.array(members)], tree)


def spread(members: list[dict]) -> tuple[dict, dict]:
    """(means, standard deviations of the sample) of the members' numbers, by name; one member deviates by 0."""
    values = {name: [member[name] for member in members] for name in members[0]}
    means = {name: float(np.mean(numbers)) for name, numbers in values.items()}
    return means, {name: float(np.std(numbers, ddof=min(1, len(members) - 1))) for name, numbers in values.items()}
