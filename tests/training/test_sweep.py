"""Several processes, one search: exactly as many trials as asked for, whoever is killed."""

import builtins
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxvision.errors import InputError
from jaxvision.training import sweep
from jaxvision.training.selection import Score, Uniform, best
from jaxvision.training.sweep import shared_search

ROOT = Path(__file__).parents[2]
RANGES = {"learning_rate": Uniform(1e-4, 1.0, log=True), "weight_decay": Uniform(0.0, 2.0)}

PROCESS = """
import json, os, signal, sys, time
from pathlib import Path
from jaxvision.training.selection import Uniform
from jaxvision.training.sweep import shared_search
from tests.training.test_sweep import RANGES, bowl

directory, name, trials, killed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] == "killed"
mine = []

def evaluate(settings):
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)
    mine.extend(settings)
    (directory / f"{name}.began").touch()
    while len(list(directory.glob("*.began"))) < 2:
        time.sleep(0.01)  # so that both have a part in it
    return bowl(settings)

scores = shared_search(evaluate, RANGES, directory / "journal", trials=trials, at_once=3)
(directory / f"{name}.json").write_text(json.dumps([mine, [score.setting for score in scores]]))
"""


def bowl(settings):
    """Lowest at a learning rate of 0.01 and a weight decay of 1."""

    def height(learning_rate, weight_decay):
        return (math.log10(learning_rate) + 2) ** 2 + (weight_decay - 1) ** 2

    return [Score(setting, height(**setting), 0.5) for setting in settings]


def start(directory, name, trials, how="lives"):
    arguments = [sys.executable, "-c", PROCESS, str(directory), name, str(trials), how]
    return subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_two_processes_finish_one_search_together(tmp_path):
    trials = 10
    processes = [start(tmp_path, name, trials) for name in ("a", "b")]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    (mine, all_of_a), (others, all_of_b) = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "ab")
    assert mine and others

    def sorted_settings(settings):
        return sorted(tuple(setting.items()) for setting in settings)

    assert len(all_of_a) == trials and all_of_a == all_of_b
    assert sorted_settings(mine + others) == sorted_settings(all_of_a)
    assert len(set(sorted_settings(all_of_a))) == trials


def test_a_process_that_is_killed_does_not_hold_up_the_search(tmp_path):
    killed = start(tmp_path, "killed", 5, "killed")
    assert killed.wait(timeout=120) == -signal.SIGKILL
    asked = []

    def evaluate(settings):
        asked.append(len(settings))
        return bowl(settings)

    scores = shared_search(evaluate, RANGES, tmp_path / "journal", trials=5, at_once=3, lost_after_s=0.2)
    assert len(scores) == 5 and sum(asked) == 5
    assert asked[0] == 2  # the other three were still thought to be running


def test_a_search_alone(tmp_path):
    """Trials come in groups, within their ranges, and the estimator finds the bowl's bottom."""
    groups = []

    def evaluate(settings):
        groups.append(len(settings))
        for setting in settings:
            assert 1e-4 <= setting["learning_rate"] <= 1 and 0 <= setting["weight_decay"] <= 2
        return bowl(settings)

    scores = shared_search(evaluate, RANGES, tmp_path / "new/journal", trials=30, at_once=8)
    assert groups == [8, 8, 8, 6]
    assert scores == bowl([score.setting for score in scores])
    assert best(scores).mean < 0.5


def test_a_finished_search_is_not_repeated(tmp_path):
    first = shared_search(bowl, RANGES, tmp_path / "journal", trials=4)
    again = shared_search(lambda settings: 1 / 0, RANGES, tmp_path / "journal", trials=4)
    assert again == first


@pytest.mark.parametrize(("metric", "worst"), [("loss", math.inf), ("top1", -math.inf)])
def test_a_value_that_is_not_finite_is_the_worst(tmp_path, metric, worst):
    values = iter([math.nan, 0.5, math.inf, -math.inf] + [0.25] * 10)
    scores = shared_search(
        lambda settings: [Score(setting, next(values), 0.0) for setting in settings],
        RANGES,
        tmp_path / "journal",
        trials=14,
        metric=metric,
    )
    assert [score.mean for score in scores[:4]] == [worst, 0.5, worst, worst]
    assert best(scores, metric).mean == (0.25 if metric == "loss" else 0.5)


def test_one_asked_for_too_many_is_given_back(tmp_path, monkeypatch):
    """Another process asks between our look at what is missing and our own asking."""
    study = sweep._open_study(tmp_path / "journal", True)
    rival = sweep._open_study(tmp_path / "journal", True)
    ask = study.ask

    def late():
        rival.ask()
        return ask()

    monkeypatch.setattr(study, "ask", late)
    assert sweep._ask(study, 1, 8) == []
    assert [trial.state.name for trial in study.get_trials()] == ["RUNNING", "FAIL"]


def test_a_trial_given_up_that_finishes_after_all_stays_given_up(tmp_path):
    """Else there would be one finished trial too many."""

    def slow(settings):
        rival = sweep._open_study(tmp_path / "journal", True)
        if len(rival.get_trials()) == 1:
            sweep._give_up_lost(rival, {0: time.monotonic() - 10}, 5.0)
        return bowl(settings)

    scores = shared_search(slow, RANGES, tmp_path / "journal", trials=2, at_once=1)
    states = [trial.state.name for trial in sweep._open_study(tmp_path / "journal", True).get_trials()]
    assert states == ["FAIL", "COMPLETE", "COMPLETE"] and len(scores) == 2


def test_without_optuna(tmp_path, monkeypatch):
    imported = builtins.__import__

    def refuse(name, *arguments, **options):
        if name.startswith("optuna"):
            raise ModuleNotFoundError(name)
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match="optuna is not installed: a shared search needs the extra `sweep`"):
        shared_search(bowl, RANGES, tmp_path / "journal", trials=1)


@pytest.mark.parametrize("content", [b"hello", b"hello\n", b"{}\n", b"one\ntwo\nthree\n", b"\x89PNG\r\n\x1a\n\0"])
def test_a_file_of_somebody_else_is_no_journal(tmp_path, content):
    (tmp_path / "notes.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"notes.txt: is no journal of Optuna"):
        shared_search(bowl, RANGES, tmp_path / "notes.txt", trials=1)
    assert (tmp_path / "notes.txt").read_bytes() == content
    assert list(tmp_path.iterdir()) == [tmp_path / "notes.txt"]


@pytest.mark.parametrize("damage", [b"{}\n{}\n", b"gibberish\n{}\n", b'{"op_code":99}\n{"op_code":0}\n'])
def test_a_damaged_journal(tmp_path, damage):
    shared_search(bowl, RANGES, tmp_path / "journal", trials=1)
    with (tmp_path / "journal").open("ab") as journal:
        journal.write(damage)
    with pytest.raises(InputError, match=r"journal: is no journal of Optuna, or a damaged one"):
        shared_search(bowl, RANGES, tmp_path / "journal", trials=1)


@pytest.mark.parametrize("journal", ["file/journal", "folder", "/proc/nowhere/journal"])
def test_a_journal_that_can_not_be_made(tmp_path, journal):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=rf"{journal}: expected a file in a folder that can be written"):
        shared_search(bowl, RANGES, tmp_path / journal, trials=1)


def test_an_empty_range(tmp_path):
    with pytest.raises(InputError, match=r"Uniform\(low=2, high=1, log=False\): expected low < high"):
        shared_search(bowl, {"learning_rate": Uniform(2, 1)}, tmp_path / "journal", trials=1)
    assert list(tmp_path.iterdir()) == []


def test_another_search_has_another_journal(tmp_path):
    shared_search(bowl, RANGES, tmp_path / "journal", trials=2, about={"epochs": 3})
    with pytest.raises(
        InputError, match=r"holds another search; .* epochs: 3 there, 4 here, trials: 2 there, 3 here"
    ):
        shared_search(bowl, RANGES, tmp_path / "journal", trials=3, about={"epochs": 4})


def test_after_a_restart_nobody_waits_for_what_was_left(tmp_path):
    """Nor is anything of another owner given up: it may still be at it."""
    with pytest.raises(KeyboardInterrupt):
        shared_search(interrupted, RANGES, tmp_path / "journal", trials=4, at_once=4, owner="a")
    states = []

    def evaluate(settings):
        states.extend(trial.state.name for trial in sweep._open_study(tmp_path / "journal", True).get_trials())
        return bowl(settings)

    assert len(shared_search(evaluate, RANGES, tmp_path / "journal", trials=4, owner="a")) == 4
    assert states == ["FAIL"] * 4 + ["RUNNING"] * 4
    with pytest.raises(KeyboardInterrupt):
        shared_search(interrupted, RANGES, tmp_path / "other", trials=4, at_once=4, owner="b")
    study = sweep._open_study(tmp_path / "other", True)
    sweep._give_up_own(study, "a")
    assert [trial.state.name for trial in study.get_trials()] == ["RUNNING"] * 4


def interrupted(settings):
    raise KeyboardInterrupt
