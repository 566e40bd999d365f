"""scripts/environment, with a uv that only writes down what it was asked for."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ensure(tmp_path):
    """Runs `ensure_environment` for a checkout in `tmp_path`; returns (exit code, extras installed, stderr)."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    asked = tmp_path / "asked"
    for name, content in {"uv/bin/uv": f'echo "${{@: -1}}" >> {asked}', "bin/pip": ""}.items():
        program = tmp_path / ".venv" / name
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/usr/bin/env bash\n{content}\n")
        program.chmod(0o755)

    def run(extras=""):
        asked.unlink(missing_ok=True)
        command = f"set -euo pipefail; root={tmp_path}; source {ROOT}/scripts/environment; ensure_environment"
        environment = {**os.environ, "JAXVISION_EXTRAS": extras}
        done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
        installed = asked.read_text().strip().removeprefix(str(tmp_path)) if asked.exists() else None
        return done.returncode, installed, done.stderr

    return run


def test_extras_stay_for_the_commands_that_follow(ensure, tmp_path):
    assert ensure()[:2] == (0, "[dev]")
    assert ensure()[:2] == (0, None)
    assert ensure("onednn")[:2] == (0, "[dev,onednn]")
    assert ensure()[:2] == (0, None)
    assert ensure("cuda,onednn")[:2] == (0, "[cuda,dev,onednn]")
    assert ensure("onednn,dev")[:2] == (0, None)
    with (tmp_path / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert ensure()[:2] == (0, "[cuda,dev,onednn]")


@pytest.mark.parametrize("extras", ["nonsense", "cuda,nonsense"])
def test_an_extra_that_does_not_exist_is_named(ensure, extras):
    code, installed, message = ensure(extras)
    assert (code, installed) == (2, None)
    assert message.startswith(f"error: JAXVISION_EXTRAS={extras}: no extra 'nonsense'")
    assert len(message.splitlines()) == 1
