"""The work directory: one run, its identity and its results."""

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from jaxvision.errors import InputError
from jaxvision.files import write_whole
from jaxvision.training.config import RunConfig, config_differences


def read_json(path: Path):
    """A JSON file's value.

    Raises:
      InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected the work directory of a run") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def write_json(path: Path, value) -> None:
    """Write a JSON file whole or not at all."""
    write_whole(path, json.dumps(value, indent=2) + "\n")


@dataclass(frozen=True)
class WorkDir:
    """The files of a run. Experiment, config, seed and smoke identify it; the devices may change.

    Attributes:
      path: the directory; made by `held` or `claim`.
      experiment: name of the experiment, such as "digits.cnn".
      config: the experiment's Config.
      smoke: whether the run is a trial on generated images.
    """

    path: Path
    experiment: str
    config: RunConfig
    smoke: bool

    def check(self) -> None:
        """Raise InputError if the directory holds another run, or something that is no run."""
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise InputError(f"--workdir {self.path} is a file: expected a directory, or a name not taken yet")
        if not (self.path / "config.json").exists():
            if any(not entry.name.startswith(".") for entry in self.path.iterdir()):
                raise InputError(f"--workdir {self.path} is not empty and holds no run: give another directory")
            return
        saved = read_json(self.path / "config.json")
        if not isinstance(saved, dict) or not saved.keys() >= {"experiment", "smoke", "config"}:
            raise InputError(f"--workdir {self.path}: its config.json is not that of a run; give another directory")
        if saved["experiment"] != self.experiment or saved["smoke"] != self.smoke:
            there = saved["experiment"] + (" --smoke" if saved["smoke"] else "")
            here = self.experiment + (" --smoke" if self.smoke else "")
            raise InputError(f"--workdir {self.path} holds a run of {there}, not {here}: give another directory")
        if differences := config_differences(saved["config"], self.config):
            shown = "\n  ".join(differences[:8])
            raise InputError(
                f"--workdir {self.path} holds a run with another config; give another directory or the same "
                f"flags:\n  {shown}"
            )

    def claim(self, environment: dict) -> None:
        """Make the directory and write config.json, unless a run is being continued."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / "config.json").exists():
            identity = {"experiment": self.experiment, "smoke": self.smoke, "config": asdict(self.config)}
            write_json(self.path / "config.json", {**identity, **environment})

    @contextmanager
    def held(self):
        """The directory made, and kept from other processes; taken away again if it holds a claim at most.

        Raises:
          InputError: another process runs in it, or as `check`.
        """
        made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        directory = os.open(self.path, os.O_RDONLY)
        try:
            is_ours = _lock(directory) and self.path.exists() and os.path.samefile(directory, self.path)
            if not is_ours:  # or it was, and has been taken away in between
                raise InputError(
                    f"--workdir {self.path}: another process is running there; wait, or give another directory"
                )
            self.check()  # again: the one before us may have left something
            try:
                yield
            finally:
                self._abandon(made)
        finally:
            os.close(directory)

    def _abandon(self, made):
        """Take the claim back if nothing followed it, so that the directory is free for other flags."""
        claims = {"config.json", "model.json"}
        if self.path.is_dir() and {entry.name for entry in self.path.iterdir()} <= claims:
            for name in claims:
                (self.path / name).unlink(missing_ok=True)
            for path in made:
                with suppress(OSError):  # a parent that others use by now
                    path.rmdir()

    def result(self) -> dict | None:
        """The finished run's result, or None."""
        path = self.path / "result.json"
        return read_json(path) if path.exists() else None


def _lock(directory: int) -> bool:
    """Lock an open directory until it is closed or this process ends; False if another one has locked it.

    Storage that locks no directory, as NFS, keeps nobody away.
    """
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
