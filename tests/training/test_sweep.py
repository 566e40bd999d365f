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
from jaxvision.training.selection import Uniform, best
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
    return [
        (math.log10(setting["learning_rate"]) + 2) ** 2 + (setting["weight_decay"] - 1) ** 2 for setting in settings
    ]


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
    assert [score.mean for score in scores] == pytest.approx(bowl([score.setting for score in scores]))
    assert best(scores).mean < 0.5


def test_a_finished_search_is_not_repeated(tmp_path):
    first = shared_search(bowl, RANGES, tmp_path / "journal", trials=4)
    again = shared_search(lambda settings: 1 / 0, RANGES, tmp_path / "journal", trials=4)
    assert again == first


@pytest.mark.parametrize(("metric", "worst"), [("loss", math.inf), ("top1", -math.inf)])
def test_a_value_that_is_not_finite_is_the_worst(tmp_path, metric, worst):
    values = iter([math.nan, 0.5, math.inf, -math.inf] + [0.25] * 10)
    scores = shared_search(
        lambda settings: [next(values) for _ in settings], RANGES, tmp_path / "journal", trials=14, metric=metric
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
