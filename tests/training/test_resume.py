"""A run that was stopped and started again is the run that was never stopped."""

import json
import os
import signal

import jax
import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.parallel import LAYOUTS
from jaxvision.training.checkpoints import Checkpoints
from jaxvision.training.state import digest


class Crash(Exception):
    pass


def crash():
    raise Crash


def lines(runs, name):
    return (runs.directory / name / "metrics.jsonl").read_text().splitlines()


def without_times(result):
    return {key: value for key, value in result.items() if key not in ("seconds", "examples_per_second")}


def assert_same(runs, outcome, straight, name="run"):
    jax.tree.map(np.testing.assert_array_equal, outcome.state, straight.state)
    assert lines(runs, name) == lines(runs, "straight")
    assert without_times(outcome.result) == without_times(straight.result)


@pytest.fixture
def straight(runs):
    return runs.train("straight")


@pytest.mark.parametrize("at_step", [3, 9])
def test_a_crash_goes_back_to_the_last_checkpoint(runs, straight, at_step):
    """Logs every 3 steps, checkpoints every 4: none yet, or one older than the last line."""
    with pytest.raises(Crash):
        runs.train(at_step=at_step, action=crash)
    assert_same(runs, runs.train(), straight)


@pytest.mark.parametrize("steps_per_dispatch", [1, 5])
def test_sigterm_saves_where_it_came(runs, steps_per_dispatch, monkeypatch):
    """Also between two logs: the sums since the last one are in the checkpoint."""
    straight = runs.train("straight", steps_per_dispatch=steps_per_dispatch)
    if steps_per_dispatch == 1:
        runs.terminate(at_step=6, steps_per_dispatch=1)
        saved = 7
    else:
        from jaxvision.training import loop

        collect = loop.collect

        def terminating(at, *args):
            if at.step == 4:
                os.kill(os.getpid(), signal.SIGTERM)
            collect(at, *args)

        with monkeypatch.context() as patched, pytest.raises(SystemExit, match="143"):
            patched.setattr(loop, "collect", terminating)
            runs.train(steps_per_dispatch=steps_per_dispatch)
        saved = 4
    assert (runs.directory / f"run/checkpoints/{saved}").is_dir()
    assert_same(runs, runs.train(steps_per_dispatch=steps_per_dispatch), straight)


def test_sigterm_before_the_first_step(runs, straight):
    runs.terminate(at_step=0)
    assert_same(runs, runs.train(), straight)


def test_sigterm_again_and_again(runs, straight):
    for at_step in (1, 7):
        runs.terminate(at_step=at_step)
    assert_same(runs, runs.train(), straight)


def test_the_signal_handler_is_put_back(runs):
    before = signal.getsignal(signal.SIGTERM)
    runs.train()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("first", "then", "devices"), [("replicate", "sharded", 2), ("sharded", "pmap", 2), ("pmap", "replicate", 1)]
)
def test_another_layout_goes_on(runs, straight, first, then, devices):
    runs.terminate(at_step=5, layout=first)
    outcome = runs.train(layout=then, devices=devices)
    assert outcome.state.step == 12
    for leaf, expected in zip(jax.tree.leaves(outcome.state), jax.tree.leaves(straight.state)):
        np.testing.assert_allclose(leaf, expected, rtol=1e-4, atol=1e-6)
    steps = [(json.loads(line)["step"], json.loads(line)["split"]) for line in lines(runs, "run")]
    assert steps == [(record["step"], record["split"]) for record in straight.records]


def test_every_layout_trains_the_same(runs, straight):
    for layout in set(LAYOUTS) - {"replicate"}:
        outcome = runs.train(layout, layout=layout)
        assert outcome.result["test"] == pytest.approx(straight.result["test"], rel=1e-5)
        assert jax.tree.map(np.shape, outcome.state) == jax.tree.map(np.shape, straight.state)


def test_a_run_that_stops_being_finite_keeps_its_checkpoints(runs):
    def exploding(task):
        def loss_fn(params, model_state, batch, key, hyper):
            losses, aux = task.loss_fn(params, model_state, batch, key, hyper)
            return losses / (params["head"]["bias"].sum() * 0 + 1 - exploded), aux

        return task._replace(loss_fn=loss_fn)

    exploded = 0.0
    runs.terminate(at_step=4, change_task=exploding)
    exploded = 1.0
    with pytest.raises(InputError, match="not finite at step 5: nothing"):
        runs.train(change_task=exploding)
    exploded = 0.0
    checkpoints = sorted(path.name for path in (runs.directory / "run/checkpoints").iterdir())
    assert checkpoints == ["4", "5"]
    straight = runs.train("straight", change_task=exploding)
    assert_same(runs, runs.train(change_task=exploding), straight)


def flip_a_byte(directory):
    """Change one byte in the middle of the largest file."""
    file = max((path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return file


def test_a_flipped_byte_falls_back_to_the_checkpoint_before(runs, straight, capsys):
    runs.terminate(at_step=9)  # checkpoints 4, 8, 10
    checkpoints = runs.directory / "run/checkpoints"
    changed = flip_a_byte(checkpoints / "10").relative_to(checkpoints / "10")
    capsys.readouterr()
    outcome = runs.train()
    captured = capsys.readouterr()
    assert f"{checkpoints / '10'} is corrupt: {changed} is not what was written" in captured.err
    assert "at step 8 of 12" in captured.out
    assert (checkpoints / "10.corrupt").is_dir()
    assert_same(runs, outcome, straight)


def test_without_a_good_checkpoint_training_starts_over(runs, straight, capsys):
    runs.terminate(at_step=9)
    for checkpoint in (runs.directory / "run/checkpoints").iterdir():
        flip_a_byte(checkpoint)
    outcome = runs.train()
    assert capsys.readouterr().err.count("is corrupt") == 3
    assert_same(runs, outcome, straight)


def test_a_crash_while_the_manifest_was_not_there_yet(runs, straight, monkeypatch):
    """Such a checkpoint was never finished: it is deleted, and so is an unfinished directory of Orbax."""
    seal = Checkpoints._seal

    def not_the_last(self, step, pinned):
        self._checkpointer.wait_until_finished() if step == 8 else seal(self, step, pinned)

    with monkeypatch.context() as patched, pytest.raises(Crash):
        patched.setattr(Checkpoints, "_seal", not_the_last)
        runs.train(at_step=10, action=crash)
    checkpoints = runs.directory / "run/checkpoints"
    assert (checkpoints / "8").is_dir()
    (checkpoints / "9.orbax-checkpoint-tmp-0").mkdir()
    runs.terminate(at_step=5)
    assert sorted(path.name for path in checkpoints.iterdir()) == ["4", "6"]
    assert_same(runs, runs.train(), straight)


def test_test_opens_again_for_the_same_parameters_only(runs, straight):
    runs.train()
    first = (runs.directory / "run/test_opened.json").read_text()
    assert json.loads(first)["parameters_sha256"] == digest(straight.state.variables)
    assert without_times(runs.train().result) == without_times(straight.result)
    assert (runs.directory / "run/test_opened.json").read_text() == first
    changed = first.replace(json.loads(first)["parameters_sha256"], "0" * 64)
    (runs.directory / "run/test_opened.json").write_text(changed)
    with pytest.raises(InputError, match="already opened for other parameters"):
        runs.train()
