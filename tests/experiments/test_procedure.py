"""Two processes with one journal, and what they are told where that can't be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.foundations.procedure import Config, run
from jaxvision.launch import launch

ROOT = Path(__file__).parents[2]
PROCESS = """
import sys, time
from pathlib import Path
from experiments.foundations.procedure import Config, run
from jaxvision.launch import launch
from jaxvision.training import selection

directory, name = Path(sys.argv.pop(1)), sys.argv.pop(1)
search = selection.search

def together(*arguments, **options):
    (directory / f"{name}.began").touch()
    while len(list(directory.glob("*.began"))) < 2:
        time.sleep(0.01)  # so that both have a part in it
    return search(*arguments, **options)

selection.search = together
launch(run, Config)
"""


def test_two_processes_finish_one_search_together(tmp_path):
    def start(name):
        flags = ["--smoke", "--search", "optuna", "--journal", tmp_path / "journal", "--restarts", "2"]
        command = [sys.executable, "-c", PROCESS, tmp_path, name, *flags, "--workdir", tmp_path / name]
        return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})

    assert [process.wait(timeout=300) for process in [start("a"), start("b")]] == [0, 0]
    one, other = (json.loads((tmp_path / name / "result.json").read_text()) for name in "ab")
    assert one["selection"] == other["selection"] and len(one["selection"]["scores"]) == 12
    assert one["test"] == other["test"]  # the winner, retrained by each
    assert all(score["std"] > 0 for score in one["selection"]["scores"])

    def trained(name):
        """The learning rates of the settings that a process was at."""
        parts = [json.loads(path.read_text()) for path in (tmp_path / name).glob("parts/search_*/part.json")]
        return [hyper["learning_rate"] for part in parts for _, hyper in part["members"][::2]]

    mine, others = trained("a"), trained("b")
    assert mine and others
    in_all = [score["setting"]["learning_rate"] for score in one["selection"]["scores"]]
    assert sorted(mine + others) == sorted(in_all)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--search", "optuna"], "--search optuna --journal '': expected a file for optuna and for no other"),
        (["--journal", "journal"], "--search grid --journal 'journal': expected a file for optuna"),
        (["--search", "optuna", "--journal", "notes.txt"], "notes.txt: is no journal of Optuna"),
        (
            ["--search", "optuna", "--journal", "notes.txt/journal"],
            "notes.txt/journal: expected a file in a folder",
        ),
        (
            ["--search", "optuna", "--journal", "journal", "--learning-rates", "0.1"],
            "Uniform(low=0.1, high=0.1, log=True): expected low < high",
        ),
    ],
)
def test_journals_that_are_refused(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("buy milk\n")
    monkeypatch.setattr(sys, "argv", ["procedure", "--smoke", "--workdir", "run", *flags])
    with pytest.raises(SystemExit, match="2"):
        launch(run, Config)
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and message in errors
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
