"""A part of a study is a run of its own, below the study's directory and without a test split."""

import dataclasses
import os
import signal

import jax
import numpy as np
import pytest

from jaxvision import data
from jaxvision.data import FoldOrder, PopulationOrder
from jaxvision.errors import InputError
from jaxvision.training.population import Member, take
from jaxvision.training.state import digest
from jaxvision.training.study import begin, study_result, train_part
from tests.training.conftest import CONFIG, Interrupted


def train_one(runs, study="study", *, splits=None, config=CONFIG, **options):
    splits = splits or data.load("digits", fake=True)
    return train_part(runs.task(config), splits, config, runs.env(study, config), "one", **options)


def test_a_part_is_the_run_of_its_config(runs):
    part = train_one(runs)
    alone = runs.train("alone")
    assert part.members == [Member(0, {"learning_rate": 0.05})]
    assert digest(part.variables()) == digest(alone.state.variables)
    assert (part.train, part.validation) == ([alone.result["train"]], [alone.result["validation"]])
    assert (part.records, part.steps, part.diverged) == (alone.records, 12, {})
    assert all(leaf.shape[0] == 1 for leaf in jax.tree.leaves(part.state.params))
    assert {path.name for path in (runs.directory / "study").iterdir()} == {"parts"}
    left = {path.name for path in (runs.directory / "study/parts/one").iterdir()}
    assert left == {"config.json", "part.json", "metrics.jsonl", "checkpoints", "tensorboard"}


def test_a_part_is_not_taken_for_another(runs):
    members = [Member(seed, {"learning_rate": 0.05}) for seed in (0, 1)]
    train_one(runs, members=members)
    with pytest.raises(InputError, match="holds a part with other members or another order"):
        train_one(runs, members=[member._replace(hyper={"learning_rate": 0.01}) for member in members])
    with pytest.raises(InputError, match="holds a part with other members or another order"):
        train_one(runs, members=members, order=data.load("digits", fake=True).population_order(8, (0, 2)))


def test_a_study_varies_what_it_varies_itself(runs):
    config = dataclasses.replace(CONFIG, vary=("learning_rate=0.1,1",))
    with pytest.raises(InputError, match="--vary: expected nothing"):
        begin(runs.env("study", config))
    assert not list(runs.directory.iterdir())


def test_members_are_those_asked_for(runs):
    part = train_one(runs, members=[Member(3, {"learning_rate": 0.01}), Member(0, {"learning_rate": 0.05})])
    alone = runs.train("alone", seed=3, learning_rate=0.01)
    for ours, theirs in zip(jax.tree.leaves(take(part.state.params, 0)), jax.tree.leaves(alone.state.params)):
        assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()
    assert part.validation[0] == pytest.approx(alone.result["validation"], rel=1e-4)
    assert part.variables(1).keys() == {"params"}


@pytest.mark.parametrize("members", [1, 2])
def test_members_are_judged_on_what_they_were_shown_and_on_what_was_held_out(runs, members):
    """Eight images of class 0 teach to say 0: right on them and on no other class."""
    splits = data.load("digits", fake=True)
    zeros = np.flatnonzero(splits.train.labels == 0)
    ones = np.flatnonzero(splits.train.labels == 1)
    order = PopulationOrder([FoldOrder(64, zeros, 8, 0), FoldOrder(64, ones, 8, 0)][:members])
    config = dataclasses.replace(CONFIG, steps=40)
    some = [Member(0, {"learning_rate": 0.05})] * members
    part = train_one(runs, config=config, members=some, order=order, held_out=[ones, ones][:members])
    assert [row["top1"] for row in part.train] == [1.0] * members
    assert [row["top1"] for row in part.validation] == [0.0, 1.0][:members]
    without = train_one(runs, "without", config=config, members=some, order=order)
    shares = [(splits.validation.labels == label).mean() for label in (0, 1)]
    assert [row["top1"] for row in without.validation] == pytest.approx(shares[:members])


def test_a_part_goes_on_where_it_stopped_and_is_not_repeated(runs):
    straight = train_one(runs, "straight")
    splits = data.load("digits", fake=True)
    stop = Interrupted(splits.train, 7, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        train_one(runs, splits=dataclasses.replace(splits, train=stop))
    resumed = train_one(runs)
    assert digest(resumed.variables()) == digest(straight.variables())
    assert (resumed.records, resumed.validation) == (straight.records, straight.validation)

    never = Interrupted(splits.train, 1, lambda: 1 / 0)
    again = train_one(runs, splits=dataclasses.replace(splits, train=never))
    assert digest(again.variables()) == digest(straight.variables())
    assert (again.records, again.validation, again.steps) == (straight.records, straight.validation, 12)


def test_nothing_to_validate_on(runs):
    part = train_one(runs, splits=data.load("digits", fake=True).development())
    assert part.validation == [] and {record["split"] for record in part.records} == {"train"}


def test_the_result_is_the_sum_of_the_parts_and_the_findings(runs):
    env = runs.env("study", CONFIG)
    begin(env)
    env.workdir.check()
    part = train_one(runs)
    result = study_result(env, [part._replace(seconds=1.25), part._replace(seconds=2.5)], gap=0.5)
    assert result == {"experiment": "test.linear", "steps": 24, "seconds": 3.75, "gap": 0.5}
