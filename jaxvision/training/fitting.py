"""Training with what surrounds it: validation, logs, checkpoints, early stopping, going on after a restart."""

import math
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvision.training.checkpoints import Checkpoints
from jaxvision.training.config import TrainConfig
from jaxvision.training.dispatch import make_advance
from jaxvision.training.early_stopping import EarlyStopping
from jaxvision.training.evaluate import make_evaluate_members
from jaxvision.training.loop import Hook, Loop, fit
from jaxvision.training.population import Member, stack, take, takes_turns
from jaxvision.training.progress import ProgressBar
from jaxvision.training.records import Recorder
from jaxvision.training.state import State, create_state
from jaxvision.training.step import make_train_step


class Trainer(NamedTuple):
    """Everything compiled that one training needs.

    Attributes:
      members: whom it trains; one, or a population.
      initial: the State before the first step, [P, ...] of a population.
      advance: what `make_advance` returns.
      evaluate: `evaluate(variables, dataset, announced="") -> [{name: value} for each member]`.
      in_turn: whether the members are trained one after another.
    """

    members: list[Member]
    initial: State
    advance: Callable
    evaluate: Callable
    in_turn: bool


def make_trainer(task, train, order, members: list[Member], config: TrainConfig, layout) -> Trainer:
    """Trace and check what is going to be trained; nothing is written.

    Args:
      task: a `run.Task`.
      train: the training examples.
      order: their order; of a population one for each member, or a common one.

    Raises:
      InputError: model, loss or optimiser refuse the data.
    """
    step = make_train_step(task.loss_fn, task.tx)
    initial = layout.place(initial_state(task, members))
    in_turn = False
    if len(members) > 1:
        batch = train.gather(order.batch(0).reshape(-1)[: order.batch_size])
        in_turn = takes_turns(step, take(initial, 0), batch, config.batch_size)
    advance = make_advance(
        step,
        train,
        order=order,
        layout=layout,
        steps_per_dispatch=config.steps_per_dispatch,
        members=len(members),
        in_turn=in_turn,
    )
    advance.check(initial)
    evaluate = make_evaluate_members(
        task.metrics_fn, layout, config.eval_batch_size, members=len(members), in_turn=in_turn
    )
    return Trainer(members, initial, advance, evaluate, in_turn)


def initial_state(task, members: list[Member]) -> State:
    """The State before the first step, in one call that takes longer to optimise than to run."""

    def create(key, hyper):
        init_key, step_key = jax.random.split(key)
        return create_state(task.init(init_key, hyper), task.tx, step_key, hyper)

    keys = [jax.random.key(member.seed) for member in members]
    hyper = [jax.tree.map(jnp.float32, member.hyper) for member in members]
    options = {"compiler_options": {"xla_backend_optimization_level": 1}}
    if len(members) == 1:
        return jax.jit(create, **options)(keys[0], hyper[0])
    return jax.jit(jax.vmap(create), **options)(jnp.stack(keys), stack(hyper))


class Fitted(NamedTuple):
    """What training left.

    Attributes:
      loop: where it ended; its State is that of the last step or, with early stopping, the best.
      records: the lines of metrics.jsonl.
      evaluated_steps: the checkpoint that holds each member's State.
    """

    loop: Loop
    records: list[dict]
    evaluated_steps: list[int]


def train_members(
    trainer: Trainer,
    config: TrainConfig,
    env,
    *,
    examples: int,
    validation: Any = None,
    may_diverge: bool = False,
    part: str = "",
) -> Fitted:
    """Train from the newest checkpoint, or from the start, to the end.

    Args:
      examples: how many an epoch has.
      validation: the data set to watch, or None.
      may_diverge: see `Loop`.
      part: its name in a study, for what is said on the way.
    """
    path = env.workdir.path
    total_steps = config.total_steps(examples)
    with closing(Checkpoints(path / "checkpoints", env.layout, keep=config.keep_checkpoints)) as checkpoints:
        loop, stopping = resume(checkpoints, trainer, total_steps, config.patience)
        loop.may_diverge = may_diverge
        with closing(Recorder(path, loop.step)) as recorder, ProgressBar(total_steps, loop.step, part) as progress:
            watch = Watch(trainer, validation, checkpoints, recorder, progress, stopping)
            if loop.step:
                progress.say(f"resuming {path} at step {loop.step} of {total_steps}")
            watch.say_how()
            hooks = [Hook(config.in_steps(config.log_every, examples), watch.log)]
            if validation is not None:
                hooks.append(Hook(config.in_steps(config.eval_every, examples), watch.validate))
            hooks.append(Hook(config.in_steps(config.checkpoint_every, examples), watch.save))
            fit(
                loop,
                trainer.advance,
                hooks=tuple(hooks),
                on_dispatch=lambda loop: progress.update(loop.step),
                on_terminate=watch.save_and_leave,
            )
            evaluated_steps = watch.back_to_best(loop)
        return Fitted(loop, recorder.records, evaluated_steps)


class Watch:
    """What is done between dispatches."""

    def __init__(self, trainer, validation, checkpoints, recorder, progress, stopping):
        self._trainer = trainer
        self._validation = validation
        self._checkpoints = checkpoints
        self._recorder = recorder
        self._progress = progress
        self._stopping: list[EarlyStopping] = stopping
        self._known_diverged: set[int] = set()

    def say_how(self) -> None:
        """One line about a population."""
        if len(self._trainer.members) > 1:
            how = "one after another, which is faster here" if self._trainer.in_turn else "side by side"
            self._progress.say(f"{len(self._trainer.members)} members, trained {how}")

    def log(self, loop: Loop) -> None:
        for i in range(len(self._trainer.members)):
            sums = {name: (member_of(total, i), member_of(count, i)) for name, (total, count) in loop.sums.items()}
            means = {name: float(total / count) for name, (total, count) in sums.items() if count}
            if means:  # a member that diverged has none
                self._write(loop.step, "train", i, means)
        loop.sums = {}
        for i in sorted(loop.diverged.keys() - self._known_diverged):
            self._known_diverged.add(i)
            self._progress.say(
                f"member {i} ({self._trainer.members[i]}): loss or gradient not finite at step {loop.diverged[i]}; "
                "it stays as it was before, the others go on"
            )

    def validate(self, loop: Loop) -> None:
        evaluated = [
            only_scalars(metrics) for metrics in self._trainer.evaluate(loop.state.variables, self._validation)
        ]
        for i, metrics in enumerate(evaluated):
            self._write(loop.step, "validation", i, metrics)
        self._stopping = [record.update(loop.step, m["loss"]) for record, m in zip(self._stopping, evaluated)]
        loop.stop = loop.stop or all(record.should_stop for record in self._stopping)
        going_on = [metrics for i, metrics in enumerate(evaluated) if i not in loop.diverged] or evaluated
        means = {name: sum(metrics[name] for metrics in going_on) / len(going_on) for name in evaluated[0]}
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        self._progress.say(f"step {loop.step}/{loop.total_steps}  validation {numbers}  {time_left(loop)} left")
        if loop.stop or loop.step in self._best_steps():
            self.save(loop)

    def save(self, loop: Loop) -> None:
        if loop.step in (self._checkpoints.saved, 0):
            return
        notes = {
            "sums": {name: [total.tolist(), count.tolist()] for name, (total, count) in loop.sums.items()},
            "seconds": loop.seconds,
            "early_stopping": [record[1:] for record in self._stopping],
            "diverged": list(loop.diverged.items()),
        }
        self._checkpoints.save(loop.step, loop.state, notes, pinned=self._best_steps())

    def save_and_leave(self, loop: Loop) -> None:
        self.save(loop)
        self._checkpoints.wait()
        self._progress.say(f"asked to end: saved step {loop.step}; the same command goes on from there")

    def back_to_best(self, loop: Loop) -> list[int]:
        """With early stopping, every member as it was at its lowest validation loss; returns the steps."""
        last = loop.step
        best = [record.best_step if record.patience and record.best_step > 0 else last for record in self._stopping]
        if set(best) == {last}:
            return best
        states = {step: self._checkpoints.restore(step, self._trainer.initial)[0] for step in {*best} - {last}}
        states[last] = loop.state
        members = [take(states[step], i) for i, step in enumerate(best)] if len(best) > 1 else []
        loop.state = stack(members) if members else states[best[0]]
        self._progress.say(f"back to step {', '.join(map(str, best))}, the lowest validation loss")
        return best

    def _best_steps(self) -> frozenset[int]:
        """Steps early stopping may return to."""
        return frozenset(record.best_step for record in self._stopping if record.patience) - {-1}

    def _write(self, step, split, member, metrics):
        metrics = {name: value for name, value in metrics.items() if math.isfinite(value)}  # JSON has no NaN
        if not metrics:
            return
        self._recorder.write(step, split, metrics, member=member if len(self._trainer.members) > 1 else None)


def resume(checkpoints: Checkpoints, trainer: Trainer, total_steps: int, patience: int):
    """The loop, and early stopping's records, at the newest good checkpoint or at the start."""
    if not (steps := checkpoints.steps()):
        return Loop(trainer.initial, 0, total_steps), [EarlyStopping(patience)] * len(trainer.members)
    state, notes = checkpoints.restore(steps[-1], trainer.initial)
    stopping = [EarlyStopping(patience, *record) for record in notes["early_stopping"]]
    return (
        Loop(
            state,
            steps[-1],
            total_steps,
            notes["sums"],
            notes["seconds"],
            stop=all(record.should_stop for record in stopping),
            diverged=dict(notes["diverged"]),
        ),
        stopping,
    )


def member_of(values, i: int):
    """Number i of [P] values, or the only one."""
    return values[i] if values.ndim else values


def only_scalars(metrics: dict) -> dict:
    """The metrics that are one number, as Python floats."""
    return {name: float(value) for name, value in metrics.items() if value.ndim == 0}


def time_left(loop: Loop) -> str:
    """Estimate of the time to the end, as minutes:seconds."""
    seconds = round(loop.seconds / loop.step * (loop.total_steps - loop.step))
    return f"{seconds // 60}:{seconds % 60:02d}"
