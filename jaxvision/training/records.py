"""metrics.jsonl for programs and TensorBoard event files for people."""

import json
from functools import cached_property
from pathlib import Path

import numpy as np

from jaxvision.files import write_whole
from jaxvision.parallel.multihost import is_lead


def read_records(path: Path) -> list[dict]:
    """The lines of a metrics.jsonl; a last line torn by a crash is left out."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]


class Recorder:
    """Appends scalars to `directory/metrics.jsonl` and mirrors them in `directory/tensorboard`.

    Opening it for `step` drops every line of a later step: they will be written again. Of several processes
    only the lead writes.
    """

    def __init__(self, directory: Path, step: int):
        self.records = [record for record in read_records(directory / "metrics.jsonl") if record["step"] <= step]
        self._directory, self._step = directory, step
        self._is_lead = is_lead()
        if not self._is_lead:
            return
        write_whole(directory / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in self.records))
        self._lines = (directory / "metrics.jsonl").open("a")

    @cached_property
    def _events(self):
        from tensorboardX import SummaryWriter  # takes seconds where torch is installed: not before the first step

        return SummaryWriter(str(self._directory / "tensorboard"), purge_step=self._step + 1)

    def write(self, step: int, split: str, metrics: dict, *, member: int | None = None) -> None:
        """Record the scalars among `metrics`, of one member of a population."""
        scalars = {name: value for name, value in metrics.items() if np.ndim(value) == 0}
        record = {"step": step, "split": split, **({} if member is None else {"member": member}), **scalars}
        self.records.append(record)
        if not self._is_lead:
            return
        self._lines.write(json.dumps(record) + "\n")
        self._lines.flush()
        for name, value in scalars.items():
            tag = f"{name}/{split}" if member is None else f"{name}/{split}/member{member}"
            self._events.add_scalar(tag, value, step)

    def close(self) -> None:
        if not self._is_lead:
            return
        self._lines.close()
        if "_events" in self.__dict__:
            self._events.close()
