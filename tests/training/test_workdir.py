import dataclasses
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


def test_a_claim_is_taken_back_only_if_nothing_followed(tmp_path):
    workdir = WorkDir(tmp_path / "run", "digits.cnn", Config(), smoke=False)
    workdir.abandon()
    workdir.claim({})
    (tmp_path / "run/metrics.jsonl").touch()
    workdir.abandon()
    assert (tmp_path / "run/config.json").exists()
    (tmp_path / "run/metrics.jsonl").unlink()
    workdir.abandon()
    assert not (tmp_path / "run").exists()
