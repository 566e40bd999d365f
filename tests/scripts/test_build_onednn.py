"""Compilers here are small scripts; tests/ops/convolution/test_onednn.py shows that what is built computes."""

import importlib.metadata
import runpy
import sys
from pathlib import Path

import pytest

from jaxvision.errors import InputError
from jaxvision.ops.convolution import onednn
from scripts import build_onednn

ROOT = Path(__file__).parents[2]


def as_program(monkeypatch, *arguments):
    """Exit status of the script."""
    monkeypatch.setattr(sys, "argv", ["build_onednn.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "scripts" / "build_onednn.py"), run_name="__main__")
    return stop.value.code


@pytest.fixture
def library(monkeypatch, tmp_path):
    """Where the script may write, with packages that are installed."""
    monkeypatch.setattr(build_onednn, "LIBRARY", tmp_path / "library.so")
    monkeypatch.setattr(build_onednn, "installed", lambda package, ending: tmp_path / package / ending)
    return build_onednn.LIBRARY


def compiler(monkeypatch, tmp_path, script):
    path = tmp_path / "compiler"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))


def test_no_compiler(monkeypatch, capfd):
    monkeypatch.setenv("CXX", "nope")
    assert as_program(monkeypatch) == 2
    assert capfd.readouterr().err == "error: no C++ compiler found: expected nope; $CXX names another\n"
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"expected g\+\+ or clang\+\+"):
        build_onednn.find_compiler()


def test_no_package(monkeypatch, capfd, tmp_path):
    def missing(package):
        raise importlib.metadata.PackageNotFoundError(package)

    compiler(monkeypatch, tmp_path, "exit 0")
    monkeypatch.setattr(importlib.metadata, "files", missing)
    assert as_program(monkeypatch) == 2
    error = "error: onednn-devel-cpu-gomp is not installed: expected the extra `onednn` (Linux on x86-64 only)\n"
    assert capfd.readouterr().err == error


def test_a_compiler_that_fails_leaves_what_was_there(monkeypatch, tmp_path, library):
    compiler(monkeypatch, tmp_path, "exit 1")
    library.write_text("old")
    with pytest.raises(InputError, match=r"compiler could not compile .*onednn\.cc, see above"):
        build_onednn.main()
    assert library.read_text() == "old" and not list(tmp_path.glob("*.partial"))


def test_what_is_compiled_replaces_what_was_there(monkeypatch, capfd, tmp_path, library):
    compiler(monkeypatch, tmp_path, 'while [ "$1" != -o ]; do echo "$1" >> arguments; shift; done; echo new > "$2"')
    monkeypatch.chdir(tmp_path)
    library.write_text("old")
    build_onednn.main()
    assert library.read_text() == "new\n" and not list(tmp_path.glob("*.partial"))
    assert str(onednn.SOURCE) in Path("arguments").read_text().split()
    assert capfd.readouterr().out.startswith(f"built {library}: ")


def test_flags_are_refused_with_a_word_of_help(monkeypatch, capfd):
    assert as_program(monkeypatch, "--fast") == 2
    assert as_program(monkeypatch, "--help") == 0
    assert capfd.readouterr().out.count("JAXVISION_EXTRAS=onednn scripts/run scripts/build_onednn.py") == 2
