"""The loop: dispatches train steps and, between dispatches, lets hooks act."""

import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import numpy as np

from jaxvision.errors import InputError
from jaxvision.parallel.multihost import fetch, preempted
from jaxvision.training.heap import give_back
from jaxvision.training.state import State

TERMINATED = 128 + signal.SIGTERM


@dataclass
class Loop:
    """Where training stands.

    Attributes:
      state: parameters and everything else that training changes.
      step: number of steps dispatched.
      total_steps: where training ends.
      sums: training metrics since they were last logged, {name: (sum, count)}, [P] each of a population.
      seconds: time spent in this loop, over all restarts.
      stop: set by a hook to end training now.
      diverged: members of a population that stopped at a step that was not finite, {member: step}.
      may_diverge: whether training just ends, instead of raising, when nobody is left.
    """

    state: State
    step: int
    total_steps: int
    sums: dict = field(default_factory=dict)
    seconds: float = 0.0
    stop: bool = False
    diverged: dict[int, int] = field(default_factory=dict)
    may_diverge: bool = False


class Hook(NamedTuple):
    """Something done every so many steps, and at the end.

    Attributes:
      every: steps between two times.
      fire: called with the `Loop`, in the order in which the hooks are given.
    """

    every: int
    fire: Callable[[Loop], None]


def fit(
    loop: Loop,
    advance: Callable,
    *,
    hooks: tuple[Hook, ...] = (),
    on_dispatch: Callable[[Loop], None] = lambda loop: None,
    on_terminate: Callable[[Loop], None] = lambda loop: None,
) -> State:
    """Train from `loop.step` to `loop.total_steps`.

    Args:
      loop: where training stands; changed as it goes on.
      advance: what `make_advance` returns.
      hooks: what to do between dispatches; a dispatch ends at every hook's duration.
      on_dispatch: called after every dispatch, without waiting for the devices.
      on_terminate: called when the process was asked to end (SIGTERM), before it exits with code 143.

    Returns:
      The final state.

    Raises:
      InputError: a loss or gradient was not finite, in every member of a population, and `loop.may_diverge` does
        not say that this is fine; the message names the step and the examples.
      SystemExit: the process was asked to end.
    """
    with termination_noted() as terminated:
        clock = Clock(loop)
        first_step = loop.step
        while loop.step < loop.total_steps and not loop.stop:
            boundary = min([loop.total_steps, *(loop.step + hook.every - loop.step % hook.every for hook in hooks)])
            outstanding = []
            while loop.step < boundary and not terminated():
                loop.state, metrics, steps = advance(loop.state, loop.step, boundary - loop.step)
                if loop.step == first_step:
                    give_back()  # what compiling took
                loop.step += steps
                outstanding.append(metrics)
                on_dispatch(loop)
            collect(loop, fetch(outstanding), advance.order)
            clock.tick()
            for hook in hooks if outstanding else ():  # no step was made if SIGTERM came first
                if loop.step % hook.every == 0 or loop.step == loop.total_steps:
                    hook.fire(loop)
            clock.tick()
            if terminated() or preempted():
                on_terminate(loop)
                raise SystemExit(TERMINATED)
    return loop.state


class Clock:
    """Adds the time between ticks to `loop.seconds`."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self.last = time.monotonic()

    def tick(self) -> None:
        now = time.monotonic()
        self.loop.seconds += now - self.last
        self.last = now


def collect(loop: Loop, fetched: list[dict], order) -> None:
    """Add the metrics of dispatches to the loop's sums; raise if a step was bad, in all members of a population."""
    for metrics in fetched:
        bad_steps = np.atleast_1d(metrics.pop("bad_step"))
        for member in np.flatnonzero(bad_steps >= 0):
            loop.diverged.setdefault(int(member), int(bad_steps[member]))
        if len(loop.diverged) == len(bad_steps):
            if not loop.may_diverge:
                raise InputError(not_finite(loop.diverged, order))
            loop.stop = True
        for name, (total, count) in metrics.items():
            old_total, old_count = loop.sums.get(name, (0.0, 0.0))
            loop.sums[name] = (old_total + np.float64(total), old_count + np.float64(count))


def not_finite(diverged: dict[int, int], order) -> str:
    """What to say when nothing can be trained any further."""
    step = max(diverged.values())
    examples = order.batch(step).reshape(-1)
    more = f" and {len(examples) - 128} more" if len(examples) > 128 else ""
    everyone = f" (the last of {len(diverged)} members)" if len(diverged) > 1 else ""
    return (
        f"loss or gradient not finite at step {step}{everyone}: nothing of that step was applied, checkpoints of "
        f"earlier steps stand. A lower --learning-rate often helps. The step's training examples: "
        f"{', '.join(map(str, examples[:128]))}{more}"
    )


@contextmanager
def termination_noted():
    """Yields a function that tells whether SIGTERM came; with several processes JAX has its own handler."""
    received = []
    if jax.process_count() > 1:
        yield lambda: False
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: received.append(True))
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGTERM, previous)
