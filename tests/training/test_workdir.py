import dataclasses
import errno
import fcntl
import json
from dataclasses import dataclass

import pytest

from jaxvision.errors import InputError
from jaxvision.training.config import TrainConfig
from jaxvision.training.workdir import WorkDir


@dataclass(frozen=True)
class Config(TrainConfig):
    widths: tuple[int, ...] = (64, 32)


@pytest.fixture
def claimed(tmp_path):
    workdir = WorkDir(tmp_path / "new" / "run", "digits.cnn", Config(), smoke=False)
    workdir.check()
    assert not workdir.path.parent.exists()
    workdir.claim({"devices": "1 x cpu"})
    return workdir


def test_the_same_run_finds_its_directory(claimed):
    claimed.check()
    before = (claimed.path / "config.json").read_text()
    claimed.claim({"devices": "2 x gpu"})
    assert (claimed.path / "config.json").read_text() == before
    saved = json.loads(before)
    assert saved["experiment"] == "digits.cnn" and saved["devices"] == "1 x cpu"
    assert saved["config"]["widths"] == [64, 32] and saved["config"]["seed"] == 0
    assert claimed.result() is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experiment": "mnist.mlp"}, "a run of digits.cnn, not mnist.mlp"),
        ({"smoke": True}, "a run of digits.cnn, not digits.cnn --smoke"),
        ({"config": Config(seed=1, widths=(64,))}, "seed: 0 there, 1 here\n  widths: [64, 32] there, [64] here"),
    ],
)
def test_another_run_is_refused(claimed, change, message):
    with pytest.raises(InputError) as error:
        dataclasses.replace(claimed, **change).check()
    assert str(error.value).endswith((message, f"{message}: give another directory"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", "mine", "not empty"),
        ("config.json", "{", "not valid JSON"),
        ("config.json", '{"model_type": "bert"}', "not that of a run"),
        ("config.json", "[]", "not that of a run"),
    ],
)
def test_a_directory_that_holds_something_else(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        WorkDir(tmp_path, "digits.cnn", Config(), smoke=False).check()


def test_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        WorkDir(tmp_path / "file", "digits.cnn", Config(), smoke=False).check()


def test_what_a_kill_leaves_before_config_json_is_there(tmp_path):
    """`write_whole` may leave its temporary file; the same command has to go on."""
    (tmp_path / ".config.json.x1y2").write_text('{"exp')
    WorkDir(tmp_path, "digits.cnn", Config(), smoke=False).check()


@pytest.fixture
def run(tmp_path):
    return WorkDir(tmp_path / "new/run", "digits.cnn", Config(), smoke=False)


def test_a_directory_and_a_claim_are_taken_back_if_nothing_followed(tmp_path, run):
    with run.held():
        pass
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt), run.held():
        run.claim({})
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    (tmp_path / "new/run").mkdir(parents=True)
    with run.held():
        run.claim({})
    assert not list((tmp_path / "new/run").iterdir())
    with run.held():
        run.claim({})
        (run.path / "metrics.jsonl").touch()
    assert (run.path / "config.json").exists()


def test_one_process_at_a_time(run):
    with run.held():
        run.claim({})
        with pytest.raises(InputError, match="new/run: another process is running there; wait"), run.held():
            pass
        assert (run.path / "config.json").exists()
        (run.path / "metrics.jsonl").touch()
    with run.held():
        pass


def test_storage_without_locks_keeps_nobody_away(run, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with run.held(), run.held():
        run.claim({})
