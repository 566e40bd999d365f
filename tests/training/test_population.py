"""A population is its members: each has the parameters, the records and the result of a run by itself."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxvision
from jaxvision import data
from jaxvision.errors import InputError
from jaxvision.parallel import make_layout
from jaxvision.training import population
from jaxvision.training.checkpoints import Checkpoints
from jaxvision.training.early_stopping import EarlyStopping
from jaxvision.training.population import Member, members_of, spread, take
from jaxvision.training.state import digest
from tests.training.conftest import CONFIG

HYPER = {"learning_rate": 0.1, "weight_decay": 0.0}


def config(**fields):
    return dataclasses.replace(CONFIG, **fields)


def assert_same_parameters(population_state, member, alone, tolerance=1e-5):
    for ours, theirs in zip(jax.tree.leaves(take(population_state.params, member)), jax.tree.leaves(alone.params)):
        assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


def test_members_are_seeds_for_every_combination_of_what_varies():
    members = members_of(config(seed=3, population=2, vary=("learning_rate=0.1,1",)), HYPER)
    assert members == [
        Member(3, {"learning_rate": 0.1, "weight_decay": 0.0}),
        Member(4, {"learning_rate": 0.1, "weight_decay": 0.0}),
        Member(3, {"learning_rate": 1.0, "weight_decay": 0.0}),
        Member(4, {"learning_rate": 1.0, "weight_decay": 0.0}),
    ]
    both = members_of(config(vary=("learning_rate=0.1,1", "weight_decay=0,1e-4")), HYPER)
    assert [tuple(member.hyper.values()) for member in both] == [(0.1, 0), (0.1, 1e-4), (1, 0), (1, 1e-4)]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("momentum=0.9", "expected one of learning_rate, weight_decay before an equals sign"),
        ("learning_rate", "expected numbers with commas between them, as in learning_rate=0.01,0.1"),
        ("learning_rate=0.1,x", "expected numbers"),
        ("learning_rate=0.1,nan", "expected numbers"),
        (
            "learning_rate=0.1,-0.1",
            r"--vary learning_rate=0\.1,-0\.1: --learning-rate -0\.1: expected a positive number",
        ),
        ("learning_rate=0", r"--learning-rate 0\.0: expected a positive number"),
    ],
)
def test_what_can_not_be_varied(entry, message):
    with pytest.raises(InputError, match=message):
        members_of(config(vary=(entry,)), HYPER)


def test_a_number_varied_twice():
    with pytest.raises(InputError, match=r"--vary learning_rate=0\.2: learning_rate is there already"):
        members_of(config(vary=("learning_rate=0.1", "learning_rate=0.2")), HYPER)


def test_seeds_have_32_bits():
    assert members_of(config(seed=2**32 - 2, population=2), HYPER)[1].seed == 2**32 - 1
    with pytest.raises(InputError, match=r"--seed 4294967294 --population 3: expected seeds up to 2\^32 - 1"):
        members_of(config(seed=2**32 - 2, population=3), HYPER)


def test_spread_by_hand():
    assert spread([{"loss": 1.0}, {"loss": 2.0}, {"loss": 3.0}]) == ({"loss": 2.0}, {"loss": 1.0})
    assert spread([{"loss": 1.0}]) == ({"loss": 1.0}, {"loss": 0.0})


@pytest.mark.parametrize(
    ("layout", "steps_per_dispatch"), [("replicate", 1), ("replicate", 4), ("pmap", 1), ("sharded", 4)]
)
def test_a_member_is_the_run_of_its_seed(runs, layout, steps_per_dispatch):
    fields = {"layout": layout, "steps_per_dispatch": steps_per_dispatch}
    together = runs.train("together", population=3, **fields)
    alone = runs.train("alone", seed=2, **fields)
    assert_same_parameters(together.members, 2, alone.state)
    row = together.result["members"][2]
    assert row["seed"] == 2
    for split in ("train", "validation", "test"):
        assert row[split] == pytest.approx(alone.result[split], rel=1e-4)
    records = [record for record in together.records if record["member"] == 2]
    assert [(record["step"], record["split"]) for record in records] == [
        (record["step"], record["split"]) for record in alone.records
    ]
    for ours, theirs in zip(records, alone.records):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)


def test_a_member_is_the_run_of_its_seed_after_a_hundred_steps(runs):
    fields = {"steps": 100, "steps_per_dispatch": 50, "eval_every": "100 steps", "checkpoint_every": "100 steps"}
    together = runs.train("together", population=3, **fields)
    for seed in range(3):
        alone = runs.train(f"alone {seed}", seed=seed, **fields)
        assert_same_parameters(together.members, seed, alone.state)


@pytest.mark.parametrize(("layout", "steps_per_dispatch"), [("replicate", 4), ("pmap", 1), ("sharded", 4)])
def test_in_turn_or_side_by_side_is_the_same(runs, monkeypatch, layout, steps_per_dispatch):
    together = runs.train("together", population=2)
    monkeypatch.setattr("jaxvision.training.fitting.takes_turns", lambda *_: True)
    in_turn = runs.train("in turn", population=2, layout=layout, steps_per_dispatch=steps_per_dispatch)
    for member in (0, 1):
        assert_same_parameters(in_turn.members, member, take(together.members, member))
    for split in ("train", "validation", "test"):
        assert in_turn.result[split] == pytest.approx(together.result[split], rel=1e-4)


def test_convolutions_of_large_batches_take_turns_on_a_cpu():
    def step(state, batch, expected_step):
        return jax.lax.conv(batch, state, (1, 1), "SAME")

    batch, kernel = jnp.zeros((1, 1, 4, 4)), jnp.zeros((1, 1, 3, 3))
    assert population.takes_turns(step, kernel, batch, 64)
    assert not population.takes_turns(step, kernel, batch, 63)
    assert not population.takes_turns(lambda state, batch, step: batch @ batch, kernel, batch, 64)


def test_varied_numbers_reach_the_optimiser(runs):
    varied = runs.train("varied", vary=("learning_rate=0.01,0.05",))
    for member, learning_rate in enumerate((0.01, 0.05)):
        alone = runs.train(f"alone {learning_rate}", learning_rate=learning_rate)
        assert_same_parameters(varied.members, member, alone.state)
        assert varied.result["members"][member]["hyper"] == {"learning_rate": learning_rate}


def test_the_test_split_is_opened_for_the_best_setting_alone(runs):
    varied = runs.train("varied", population=2, vary=("learning_rate=1e-6,0.05",))
    assert varied.result["chosen"] == [2, 3]
    rows = varied.result["members"]
    assert ["test" in row for row in rows] == [False, False, True, True]
    losses = [row["validation"]["loss"] for row in rows]
    assert max(losses[2:]) < min(losses[:2])
    assert varied.result["test"]["loss"] == pytest.approx(np.mean([row["test"]["loss"] for row in rows[2:]]))
    alone = runs.train("alone", population=2, learning_rate=0.05)
    assert varied.result["ensemble"]["test"] == pytest.approx(alone.result["ensemble"]["test"])
    assert digest(varied.state.variables) == digest(take(varied.members.variables, 2))


def test_shared_batches_are_those_of_the_first(runs):
    """So members that differ in nothing else stay equal, and the first is as it is with batches of its own."""
    shared = runs.train("shared", population=2, vary=("learning_rate=0.05,0.05",), shared_batches=True)
    assert_same_parameters(shared.members, 2, take(shared.members, 0), tolerance=0)
    first, second = (take(shared.members.params, member) for member in (0, 1))
    assert digest(first) != digest(second)  # seeds differ
    own = runs.train("own", population=2)
    assert_same_parameters(shared.members, 0, take(own.members, 0))
    rows = np.abs(shared.members.params["head"]["bias"][1] - own.members.params["head"]["bias"][1])
    assert rows.max() > 1e-3  # the second saw other batches


def test_the_result_is_the_mean_over_members(runs):
    outcome = runs.train(population=3)
    tops = [row["test"]["top1"] for row in outcome.result["members"]]
    assert outcome.result["test"]["top1"] == pytest.approx(np.mean(tops))
    assert outcome.result["std"]["test"]["top1"] == pytest.approx(np.std(tops, ddof=1))
    assert digest(outcome.state.variables) == digest(take(outcome.members.variables, 0))


def test_the_ensemble_is_of_all_members(runs):
    outcome = runs.train(population=3)
    splits = data.load("digits", fake=True)
    test = splits.open_test(runs.directory / "record.json", "0")
    images, labels = test.gather(np.arange(len(test)))["image"], test.labels
    probabilities = []
    for member in range(3):
        model, variables, preprocess, _ = jaxvision.load_run(runs.directory / "run", member=member)
        logits = np.asarray(model.apply(variables, preprocess(images)), np.float64)
        probabilities.append(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
        top1 = outcome.result["members"][member]["test"]["top1"]
        assert (logits.argmax(1) == labels).mean() == pytest.approx(top1)
    mean = np.mean(probabilities, 0).argmax(1)
    assert outcome.result["ensemble"]["test"]["top1_mean_probability"] == pytest.approx((mean == labels).mean())
    votes = np.stack([one.argmax(1) for one in probabilities])
    decided = [np.bincount(vote, minlength=10) for vote in votes.T]
    clear = [np.sum(counts == counts.max()) == 1 for counts in decided]
    right = np.sum([counts.argmax() == label for counts, label in zip(decided, labels)], where=clear)
    assert (
        right / len(labels)
        <= outcome.result["ensemble"]["test"]["top1_vote"]
        <= right / len(labels) + 1 - np.mean(clear)
    )


def test_no_such_member(runs):
    runs.train(population=2)
    with pytest.raises(InputError, match=r"member 2: .* has 2, counted from 0"):
        jaxvision.load_run(runs.directory / "run", member=2)


def test_a_run_without_a_model(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="its run keeps no model, or never began; expected one that trains"):
        jaxvision.load_run(tmp_path)


def test_a_member_that_diverges_stays_behind_and_the_others_go_on(runs, capsys):
    outcome = runs.train(vary=("learning_rate=0.05,1e30",))
    healthy = runs.train("healthy")
    assert_same_parameters(outcome.members, 0, healthy.state)
    said = capsys.readouterr().out
    assert "member 1 (seed 0, learning_rate 1e+30): loss or gradient not finite at step" in said
    evaluated = {name: value for name, value in healthy.records[-1].items() if name in ("loss", "top1")}
    assert healthy.records[-1]["split"] == "validation"
    assert "validation " + "  ".join(f"{name} {value:.4f}" for name, value in evaluated.items()) in said
    assert outcome.result["std"] == {} and "ensemble" not in outcome.result  # of the one that is left
    row = outcome.result["members"][1]
    assert 1 <= row["diverged_at"] <= 3 and outcome.members.step[1] == row["diverged_at"]
    assert outcome.result["test"] == outcome.result["members"][0]["test"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(outcome.members.params))
    logged = [record["step"] for record in outcome.records if record["split"] == "train" and record["member"] == 1]
    assert logged == [3]


def test_when_all_diverge_the_run_ends(runs):
    with pytest.raises(InputError, match=r"not finite at step \d+ \(the last of 2 members\)"):
        runs.train(vary=("learning_rate=1e30,1e31",))


def test_resumed_is_uninterrupted(runs):
    straight = runs.train("straight", population=2)
    runs.terminate("stopped", at_step=7, population=2)
    resumed = runs.train("stopped", population=2)
    assert digest(resumed.members.variables) == digest(straight.members.variables)
    assert resumed.records == straight.records


def test_early_stopping_is_of_each_member(runs, monkeypatch):
    """Member 0 is best at step 4, member 1 at step 8; both are as runs that stopped there."""
    losses = {
        0: {2: 2.0, 4: 1.0, 6: 1.5, 8: 1.5, 10: 0.1, 12: 0.1},
        1: {2: 3.0, 4: 2.5, 6: 2.0, 8: 1.0, 10: 1.5, 12: 1.5},
    }
    update = EarlyStopping.update
    calls = {}

    def scripted(self, step, loss):
        member = calls[step] = calls.get(step, -1) + 1
        return update(self, step, losses[member][step])

    monkeypatch.setattr(EarlyStopping, "update", scripted)
    often = {"eval_every": "2 steps", "checkpoint_every": "2 steps"}
    outcome = runs.train("stopped", population=2, patience=2, keep_checkpoints=1, **often)
    assert outcome.result["evaluated_step"] == [4, 8] and outcome.members.step.tolist() == [4, 8]

    calls.clear()
    runs.train("straight", population=2, keep_checkpoints=6, **often)
    checkpoints = Checkpoints(runs.directory / "straight/checkpoints", make_layout("replicate"), keep=6)
    for member, step in enumerate((4, 8)):
        best, _ = checkpoints.restore(step, jax.tree.map(jnp.asarray, outcome.members))
        assert digest(take(outcome.members.variables, member)) == digest(take(best.variables, member))
    checkpoints.close()


def test_metrics_lines_carry_the_member(runs):
    runs.train(population=2)
    lines = [json.loads(line) for line in (runs.directory / "run/metrics.jsonl").read_text().splitlines()]
    assert {line["member"] for line in lines} == {0, 1}
    assert {tuple(line)[:3] for line in lines} == {("step", "split", "member")}
