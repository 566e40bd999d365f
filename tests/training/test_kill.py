"""`kill -9` at the worst moments, then the same command: the same run as one that was never stopped."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxvision
from jaxvision.launch import launch

ROOT = Path(__file__).parents[2]
FLAGS = ["--epochs", "4", "--eval-every", "1 epoch", "--checkpoint-every", "7 steps", "--log-every", "5 steps"]


def unfinished(checkpoints):
    """Checkpoints begun and not sealed, Orbax's temporary directories among them."""
    return [path for path in checkpoints.glob("*") if not (path / "manifest.json").exists()]


def training(workdir):
    return (workdir / "checkpoints/14/manifest.json").exists()


def saving(workdir):
    """While a checkpoint later than the first kill's is written."""
    return any("orbax-checkpoint-tmp" in path.name for path in (workdir / "checkpoints").glob("[3-9]*"))


def evaluating(workdir):
    return (workdir / "test_opened.json").exists() and not (workdir / "result.json").exists()


@pytest.fixture
def command(tmp_path, monkeypatch, request):
    """The command of a run of so many seeds, and the environment of a process of its own for it."""
    module = importlib.import_module("experiments.digits.cnn")

    def flags(name):
        population = ["--population", str(request.param)]
        return [*FLAGS, *population, "--data-dir", str(tmp_path / "data"), "--workdir", str(tmp_path / name)]

    monkeypatch.setattr(sys, "argv", ["digits.cnn", *flags("straight")])
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    launch(module.run, module.Config)
    # A copy: a process that is killed may leave half a file in it.
    compiled = shutil.copytree(os.environ["JAX_COMPILATION_CACHE_DIR"], tmp_path / "compiled")
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(compiled)}
    return [sys.executable, "-m", "experiments.digits.cnn", *flags("killed")], environment


def kill_when(moment, command, workdir):
    """Start the command and kill it, and whatever it started, at the moment."""
    arguments, environment = command
    process = subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + 120
    while not moment(workdir):
        assert process.poll() is None, process.stdout.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def final_variables(workdir, members):
    return [jaxvision.load_run(workdir, member=member)[1] for member in range(members)]


def result_without_times(workdir):
    result = json.loads((workdir / "result.json").read_text())
    return {name: value for name, value in result.items() if name not in ("seconds", "examples_per_second")}


def assert_same_run(killed, straight, *, members):
    ours, theirs = (final_variables(path, members) for path in (killed, straight))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert result_without_times(killed) == result_without_times(straight)
    assert (killed / "metrics.jsonl").read_text() == (straight / "metrics.jsonl").read_text()
    assert not unfinished(killed / "checkpoints")


def run_to_the_end(command):
    arguments, environment = command
    last = subprocess.run(arguments, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert last.returncode == 0, last.stderr


@pytest.mark.parametrize("command", [1], indirect=True)
def test_killed_while_training_while_saving_and_while_evaluating(command, tmp_path):
    killed = tmp_path / "killed"
    kill_when(training, command, killed)
    kill_when(saving, command, killed)
    assert unfinished(killed / "checkpoints")
    kill_when(evaluating, command, killed)
    run_to_the_end(command)
    assert_same_run(killed, tmp_path / "straight", members=1)


@pytest.mark.parametrize("command", [2], indirect=True)
def test_a_population_killed_while_it_saves(command, tmp_path):
    killed = tmp_path / "killed"
    kill_when(saving, command, killed)
    assert unfinished(killed / "checkpoints")
    run_to_the_end(command)
    assert_same_run(killed, tmp_path / "straight", members=2)
