"""Compiled programs are kept where only their user can put them, and run as freshly compiled ones do."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from jaxvision import compilation_cache
from jaxvision.compilation_cache import enable, machine, make_room, private_folder
from jaxvision.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def settings(monkeypatch):
    """What `enable` asks of JAX, which does not hear it."""
    asked = {}
    config = SimpleNamespace(jax_compilation_cache_dir=None, update=asked.__setitem__)
    monkeypatch.setattr(compilation_cache, "jax", SimpleNamespace(config=config))
    return asked


def test_a_folder_of_the_user_alone(tmp_path, settings, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    enable()
    folder = tmp_path / "caches/jaxvision"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert settings["jax_compilation_cache_dir"] == str(folder / machine())
    assert capsys.readouterr().err == ""


def test_home_where_nothing_else_is_said(tmp_path, settings, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    enable()
    assert (tmp_path / ".cache/jaxvision").is_dir()


def test_a_folder_that_was_named_is_left_to_jax(tmp_path, settings, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compilation_cache.jax.config.jax_compilation_cache_dir = "/elsewhere"
    enable()
    assert settings == {} and list(tmp_path.iterdir()) == []


def test_without_a_home_that_can_be_written(tmp_path, settings, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    enable()
    assert settings == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: compiled programs are not kept") and str(tmp_path / "file") in line


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755])
def test_a_folder_open_to_others_is_refused(tmp_path, mode):
    (tmp_path / "jaxvision").mkdir()
    (tmp_path / "jaxvision").chmod(mode)
    with pytest.raises(InputError, match="jaxvision is open to others"):
        private_folder(tmp_path / "jaxvision")


def test_a_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    private_folder(tmp_path / "jaxvision")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(InputError, match="jaxvision is open to others"):
        private_folder(tmp_path / "jaxvision")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(InputError, match="can't be written"):
        private_folder(tmp_path / "jaxvision")


def test_another_cpu_or_another_xla_has_another_name(monkeypatch):
    here = machine()
    assert here == machine()
    monkeypatch.setattr(compilation_cache.jaxlib, "__version__", "0.0.1")
    assert machine() != here
    monkeypatch.undo()
    features = Path("/proc/cpuinfo").read_text().replace(" sse2 ", " ")
    monkeypatch.setattr(Path, "read_text", lambda path: features)
    assert machine() != here


def test_what_was_not_used_for_longest_makes_room(tmp_path):
    (tmp_path / "old-jaxlib").mkdir()
    for age, name in enumerate(["used", "written", "old-jaxlib/entry"]):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    os.utime(tmp_path / "used", (1000, 1))
    make_room(tmp_path, 300)
    assert (tmp_path / "old-jaxlib/entry").exists()
    make_room(tmp_path, 200)
    assert not (tmp_path / "old-jaxlib/entry").exists() and (tmp_path / "written").exists()
    make_room(tmp_path, 150)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["used"]


def test_programs_from_the_cache_compute_bit_for_bit_the_same(tmp_path):
    """On two devices: two processes that fill one cache at a time, one that reads it, one that has none."""

    def start(name, **variables):
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), **variables}
        del environment["JAX_COMPILATION_CACHE_DIR"]
        command = [sys.executable, "-m", "experiments.digits.cnn", "--smoke", "--workdir", str(tmp_path / name)]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        return name, subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)

    def parameters(name, process):
        _, errors = process.communicate(timeout=300)
        assert (process.returncode, errors) == (0, "")
        return json.loads((tmp_path / name / "test_opened.json").read_text())["parameters_sha256"]

    first, second = start("first"), start("second")
    expected = parameters(*first)
    assert parameters(*second) == expected
    entries = set((tmp_path / "jaxvision").rglob("*-cache"))
    assert any(entry.name.startswith("jit_step") for entry in entries)
    assert parameters(*start("warm")) == expected
    assert set((tmp_path / "jaxvision").rglob("*-cache")) == entries  # nothing was compiled again
    assert parameters(*start("without", JAX_ENABLE_COMPILATION_CACHE="0")) == expected
