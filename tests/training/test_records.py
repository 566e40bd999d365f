import numpy as np

from jaxvision.training import records
from jaxvision.training.records import Recorder, read_records


def write_all(directory, from_step, to_step):
    recorder = Recorder(directory, from_step)
    for step in range(from_step + 1, to_step + 1):
        recorder.write(step, "train", {"loss": 1 / step, "confusion": np.eye(2)})
    recorder.close()
    return recorder.records


def test_lines_after_the_resumed_step_are_cut(tmp_path):
    written = write_all(tmp_path, 0, 5)
    assert written[0] == {"step": 1, "split": "train", "loss": 1.0}
    assert read_records(tmp_path / "metrics.jsonl") == written
    assert write_all(tmp_path, 3, 4) == written[:4] == read_records(tmp_path / "metrics.jsonl")


def test_a_torn_last_line_is_left_out(tmp_path):
    written = write_all(tmp_path, 0, 3)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "spl')
    assert read_records(tmp_path / "metrics.jsonl") == written
    assert write_all(tmp_path, 3, 4) == write_all(tmp_path, 0, 4)
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 4


def test_numbers_come_back_exactly(tmp_path):
    values = [0.1 + 0.2, 1e-45, float("inf")]
    recorder = Recorder(tmp_path, 0)
    for value in values:
        recorder.write(1, "validation", {"loss": value})
    recorder.close()
    assert [record["loss"] for record in read_records(tmp_path / "metrics.jsonl")] == values
    assert read_records(tmp_path / "none.jsonl") == []


def test_only_the_lead_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "is_lead", lambda: False)
    assert len(write_all(tmp_path, 0, 3)) == 3
    assert list(tmp_path.iterdir()) == []
