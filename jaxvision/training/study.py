"""Studies: experiments that compare several trainings, each a part of the run with a work directory of its own.

A part goes on where it stopped and is not repeated once it is done, so a study survives `kill -9` like a single
run. Parts see train and validation; none opens the test split.
"""

import hashlib
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvision.errors import InputError
from jaxvision.parallel.multihost import barrier, fetch, is_lead
from jaxvision.training.config import TrainConfig
from jaxvision.training.fitting import make_trainer, only_scalars, train_members
from jaxvision.training.population import Member, members_of, take
from jaxvision.training.run import Env, training_order
from jaxvision.training.state import State
from jaxvision.training.workdir import read_json, write_json


class Part(NamedTuple):
    """What one training of a study gave.

    Attributes:
      members: who was trained; one, or a population.
      state: the State of all members with host arrays, [P, ...] also where P is 1.
      train, validation: [P] dictionaries of scalar metrics, train's on what the member was trained on; no
        validation where there was nothing to validate on.
      records: the lines of its metrics.jsonl.
      steps: updates made.
      seconds: time in training.
      diverged: {member: step} of those whose loss was not finite.
    """

    members: list[Member]
    state: State
    train: list[dict]
    validation: list[dict]
    records: list[dict]
    steps: int
    seconds: float
    diverged: dict[int, int]

    def variables(self, member: int = 0) -> dict:
        """What the model of one member is applied with."""
        return take(self.state.variables, member)


def begin(env: Env) -> None:
    """Claim the work directory of a study, before its first part.

    Raises:
      InputError: the config varies numbers by itself.
    """
    if getattr(env.workdir.config, "vary", ()):
        raise InputError("--vary: expected nothing, a study chooses by itself what it compares")
    _claim(env)


def _claim(env):
    if is_lead():
        env.workdir.claim(env.environment)
    barrier("work directory claimed")


def _identify(env, members, order):
    """Keep beside a part's config, which others may share, who is trained on what; refuse another part's place."""
    drawn = hashlib.sha256(order.batches(0, 2).tobytes()).hexdigest()
    identity = {"members": [[member.seed, member.hyper] for member in members], "order": drawn}
    path = env.workdir.path / "part.json"
    if path.exists() and read_json(path) != identity:
        raise InputError(f"{path.parent}: holds a part with other members or another order; give it another name")
    if is_lead():
        write_json(path, identity)


def train_part(
    task,
    splits,
    config: TrainConfig,
    env: Env,
    name: str,
    *,
    members: list[Member] | None = None,
    order: Any = None,
    held_out: list[np.ndarray] | None = None,
) -> Part:
    """Train one part of a study, or go on with it, and evaluate it on train and validation.

    Args:
      task: a `run.Task`.
      splits: train and validation.
      config: how long and how; `population` and `vary` say who the members are, unless they are given.
      name: that of the part, which may be part of a path.
      members: whom to train.
      order: the orders of the members, such as `Splits.fold_order` makes; if not given, those of their seeds.
      held_out: for each member the positions of the training examples that it is validated on, after training,
        instead of the validation split.

    Raises:
      InputError: there is a part of this name with other members or another order.
    """
    members = members or members_of(config, task.hyper)
    order = training_order(splits, config, members) if order is None else order
    orders = getattr(order, "orders", [order] * len(members))
    order = order if len(members) > 1 else orders[0]
    trainer = make_trainer(task, splits.train, order, members, config, env.layout)
    part = env.part(name, config)
    _claim(part)
    _identify(part, members, order)
    fitted = train_members(
        trainer, config, part, examples=len(splits.train), validation=splits.validation, may_diverge=True, part=name
    )
    loop = fitted.loop

    def on(dataset):
        evaluated = trainer.evaluate(loop.state.variables, dataset, f"evaluating {name} on {len(dataset)} examples")
        return [only_scalars(metrics) for metrics in evaluated]

    def each_on(positions):
        distinct = {one.tobytes(): one for one in positions}
        evaluated = {key: on(splits.train.take(one)) for key, one in distinct.items()}
        return [evaluated[one.tobytes()][i] for i, one in enumerate(positions)]

    train = each_on([one.examples for one in orders])
    if held_out is not None:
        validation = each_on(held_out)
    else:
        validation = on(splits.validation) if splits.validation is not None else []
    state = fetch(loop.state)
    if len(members) == 1:
        state = jax.tree.map(lambda leaf: leaf[None], state)
    return Part(members, state, train, validation, fitted.records, loop.step, loop.seconds, loop.diverged)


def study_result(env: Env, parts: list[Part], **findings) -> dict:
    """What result.json holds of a study, its findings beside the cost of all parts."""
    seconds = sum(part.seconds for part in parts)
    updates = sum(part.steps for part in parts)
    return {"experiment": env.workdir.experiment, "steps": updates, "seconds": round(seconds, 3), **findings}
