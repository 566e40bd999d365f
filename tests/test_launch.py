"""What a command line does: bad input is one message and nothing left behind."""

import fcntl
import importlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from jaxvision import augment, data
from jaxvision.errors import InputError
from jaxvision.launch import Flags, experiment_name, fingerprint, launch
from jaxvision.tasks.classification import classification_task
from jaxvision.training.config import TrainConfig
from jaxvision.training.run import finish, train
from jaxvision.training.schedules import cosine, scheduled

ROOT = Path(__file__).parents[1]
MOST_LINES = 12


@dataclass(frozen=True)
class Config(TrainConfig):
    """A linear classifier."""

    steps: int = 3
    epochs: float = 0.0
    batch_size: int = 8
    eval_batch_size: int = 16
    scale: float = 0.5
    """Standard deviation of a pixel."""


def run(config, env):
    import optax

    splits = data.load("digits", fake=True)
    task = classification_task(
        "multiperceptron",
        {},
        preprocess=augment.Preprocess((8, 8, 1), (0.5,), (config.scale,)),
        class_names=splits.info.class_names,
        tx=scheduled(optax.sgd, cosine(10), learning_rate=config.learning_rate),
        hyper={"learning_rate": config.learning_rate},
    )
    finish(train(task, splits, config, env), config, env, {}, "A linear classifier.")


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Launches an experiment with flags, in `tmp_path`; returns (exit code, output, errors)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)

    def command(*flags, experiment=None):
        module = importlib.import_module(f"experiments.{experiment}") if experiment else sys.modules[__name__]
        monkeypatch.setattr(sys, "argv", ["experiment", *map(str, flags)])
        capsys.readouterr()
        try:
            launch(module.run, module.Config)
            code = 0
        except SystemExit as left:
            code = left.code
        return code, *capsys.readouterr()

    return command


def assert_one_message(code, errors, *named):
    assert code == 2
    assert 1 <= len(errors.strip().splitlines()) <= MOST_LINES
    assert "Traceback" not in errors
    plain = re.sub(r"[│╭╮╰╯─\s]+", " ", errors)
    for name in named:
        assert name in plain


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--no-such-flag", "1"], ["--no-such-flag"]),
        (["stray"], ["stray"]),
        (["--seed", "many"], ["--seed", "many"]),
        (["--parallel", "magic"], ["--parallel", "magic"]),
        (["--steps", "5", "--epochs", "2"], ["--steps 5", "--epochs 2.0"]),
        (["--steps", "-1"], ["--steps", "'-1 steps'"]),
        (["--epochs", "many"], ["--epochs", "many"]),
        (["--learning-rate", "-1"], ["--learning-rate -1.0"]),
        (["--epochs", "-1"], ["--epochs", "'-1.0 epochs'"]),
        (["--batch-size", "0"], ["--batch-size 0"]),
        (["--batch-size", "33"], ["33", "2 devices", "--batch-size"]),
        (["--eval-batch-size", "0"], ["--eval-batch-size 0"]),
        (["--eval-every", "often"], ["--eval-every", "'often'", "'1 epoch'"]),
        (["--seed", "-1"], ["--seed -1"]),
        (["--patience", "-1"], ["--patience -1"]),
    ],
)
def test_bad_flags(command, tmp_path, flags, named):
    code, _, errors = command(*flags, "--workdir", tmp_path / "run")
    assert_one_message(code, errors, *named)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("experiment", "flags", "named"),
    [
        ("digits.cnn", ["--dropout-rate", "1.5"], ["--dropout-rate 1.5", "from 0 to below 1"]),
        ("mnist.multiperceptron", ["--act", "swoosh"], ["swoosh"]),
        ("folder.classify", ["--model", "lenet6"], ["lenet6"]),
    ],
)
def test_what_the_model_refuses_leaves_nothing(command, tmp_path, experiment, flags, named):
    code, _, errors = command("--smoke", *flags, "--workdir", tmp_path / "run", experiment=experiment)
    assert_one_message(code, errors, *named)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("experiment", ["foundations.gradient_check", "digits.neocognitron", "imagenet.evaluate"])
@pytest.mark.parametrize("flag", ["--learning-rate", "--steps", "--epochs", "--batch-size", "--vary"])
def test_what_trains_nothing_by_steps_has_no_flags_for_it(command, tmp_path, experiment, flag):
    code, _, errors = command(flag, "1", "--workdir", tmp_path / "run", experiment=experiment)
    assert_one_message(code, errors, f"Unrecognized options: {flag}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("experiment", "flags", "named"),
    [
        ("mnist.mlp", [], ["mnist", "not prepared", "scripts/prepare_data.py mnist"]),
        ("folder.classify", ["--dataset", "../up"], ["'../up'"]),
        ("folder.classify", ["--model", "lenet6"], ["'lenet6'", "'lenet'"]),
        ("mnist.multiperceptron", ["--smoke", "--act", "thanh"], ["'thanh'", "'tanh'"]),
        ("foundations.gradient_check", ["--population", "0"], ["--population 0"]),
        ("foundations.gradient_check", ["--seed", "-1"], ["--seed -1"]),
    ],
)
def test_bad_names(command, tmp_path, experiment, flags, named):
    code, _, errors = command(
        *flags, "--workdir", tmp_path / "run", "--data-dir", tmp_path / "data", experiment=experiment
    )
    assert_one_message(code, errors, *named)
    assert list(tmp_path.iterdir()) == []


def test_the_address_of_other_processes_alone(command, monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "127.0.0.1:1")
    code, _, errors = command()
    assert_one_message(code, errors, "JAX_NUM_PROCESSES")
    assert list(tmp_path.iterdir()) == []


def test_a_work_directory_below_a_file(command, tmp_path):
    (tmp_path / "file").touch()
    code, _, errors = command("--workdir", tmp_path / "file" / "run")
    assert_one_message(code, errors, str(tmp_path / "file"))


def test_a_run_and_what_comes_after_it(command, tmp_path):
    flags = ["--workdir", tmp_path / "run", "--scale", "0.25"]
    code, output, errors = command(*flags)
    assert (code, errors) == (0, "")
    result = json.loads((tmp_path / "run/result.json").read_text())
    line = f"test  loss {result['test']['loss']:.4f}  top1 {result['test']['top1']:.4f}"
    assert line in output

    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["experiment"] == experiment_name(sys.modules[__name__]) == "tests.test_launch"
    assert config["config"]["scale"] == 0.25 and config["parallel"] == "replicate"
    assert re.fullmatch(r"([0-9a-f]{40}(-dirty)?)?", config["git_revision"] or "")
    assert config["versions"]["jax"] and config["processes"] == 1 and "2 x cpu" in config["devices"]

    written = (tmp_path / "run/report.html").stat().st_mtime_ns
    code, output, errors = command(*flags, "--parallel", "sharded")
    assert (code, errors) == (0, "")
    assert "holds the finished run" in output and line in output
    assert (tmp_path / "run/report.html").stat().st_mtime_ns == written

    code, _, errors = command("--workdir", tmp_path / "run", "--seed", "7")
    assert_one_message(code, errors, "another config", "seed: 0 there, 7 here", "scale: 0.25 there, 0.5 here")
    code, _, errors = command("--workdir", tmp_path / "run", "--smoke", experiment="digits.cnn")
    assert_one_message(code, errors, "a run of tests.test_launch, not digits.cnn --smoke")


def test_one_process_at_a_time_in_a_work_directory(command, tmp_path):
    (tmp_path / "run").mkdir()
    directory = os.open(tmp_path / "run", os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    code, _, errors = command("--workdir", str(tmp_path / "run"))
    os.close(directory)
    assert_one_message(code, errors, "another process is running there")
    assert not list((tmp_path / "run").iterdir())


def test_without_workdir_a_config_finds_its_own(command, tmp_path):
    assert command()[0] == 0
    (path,) = (tmp_path / "runs/tests.test_launch").iterdir()
    assert path.name == fingerprint(Config(), smoke=False)
    assert len({fingerprint(Config(seed=seed), smoke=smoke) for seed in (0, 1) for smoke in (False, True)}) == 4


def test_an_exception_that_is_no_bad_input_keeps_its_traceback(monkeypatch, tmp_path):
    def run(config, env):
        raise ZeroDivisionError

    run.__module__ = __name__
    monkeypatch.setattr(sys, "argv", ["experiment", "--workdir", str(tmp_path / "run")])
    with pytest.raises(ZeroDivisionError):
        launch(run, Config)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("the file: is torn"), "error: the file: is torn\n"),
        (OSError(28, "No space left on device", "/disk/file"), "error: /disk/file: No space left on device\n"),
        (OSError("broken"), "error: storage: broken\n"),
    ],
)
def test_errors_become_one_line(monkeypatch, tmp_path, capsys, error, message):
    def run(config, env):
        raise error

    run.__module__ = __name__
    monkeypatch.setattr(sys, "argv", ["experiment", "--workdir", str(tmp_path / "run")])
    with pytest.raises(SystemExit, match="2"):
        launch(run, Config)
    assert capsys.readouterr().err == message


def test_a_full_disk_and_the_same_command_again(command, tmp_path):
    """Files of at most 20 KiB: a checkpoint does not fit. With room the run goes on."""
    flags = ["--smoke", "--workdir", str(tmp_path / "run")]
    without_cache = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    limited = subprocess.run(
        [
            "bash",
            "-c",
            'ulimit -f 20 && exec "$0" "$@"',
            sys.executable,
            "-m",
            "experiments.mnist.cnn",
            *flags,
        ],
        check=False,
        cwd=ROOT,
        env={**without_cache, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert_one_message(limited.returncode, limited.stderr, str(tmp_path / "run/checkpoints/2"))
    assert not (tmp_path / "run/result.json").exists()
    assert command(*flags, experiment="mnist.cnn")[0] == 0
    assert (tmp_path / "run/result.json").exists()


def test_help_explains_every_field_and_its_default(command):
    code, output, _ = command("--help")
    assert code == 0
    text = re.sub(r"[│╭╮╰╯─\s]+", " ", output)
    for config_class in (Config, Flags):
        for field in fields(config_class):
            flag = field.name.replace("_", "-")
            ((explanation, default),) = re.findall(rf" --{flag}(?:,| [A-Z{{[])(.*?)\(default: (.*?)\)", text)
            expected = " ".join(map(str, field.default)) if isinstance(field.default, tuple) else str(field.default)
            assert default.strip("'") == expected
            assert len(explanation.split()) > 4, f"{field.name} is not explained"
    assert "Standard deviation of a pixel." in text
