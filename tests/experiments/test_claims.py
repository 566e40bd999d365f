"""Every experiment that illustrates a sentence, in its full setting: the sentence holds."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxvision import data
from jaxvision.launch import launch

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    f"experiments.foundations.{path.stem}"
    for path in (ROOT / "experiments/foundations").glob("*.py")
    if path.name != "__init__.py"
)
MNIST = ROOT.parent / "shared/data/mnist"


@pytest.mark.parametrize("name", [*MODULES, "experiments.digits.neocognitron"])
def test_the_claim_holds(name, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, "--workdir", str(tmp_path / "run")])
    module = importlib.import_module(name)
    launch(module.run, module.Config)
    claim = json.loads((tmp_path / "run/result.json").read_text())["claim"]
    assert claim["holds"], claim


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    """Where MNIST is prepared."""
    if not MNIST.exists():
        pytest.skip(f"{MNIST} is not here, and tests download nothing")
    data_dir = tmp_path_factory.mktemp("data")
    data.prepare("mnist", MNIST, data_dir)
    return data_dir


@pytest.mark.parametrize("name", ["experiments.mnist.one_versus_all", "experiments.mnist.perceptron"])
def test_the_claim_holds_on_mnist(name, mnist, tmp_path):
    """On a single device: the perceptron's rule takes one example at a time, which two can't share."""
    command = [sys.executable, "-m", name, "--data-dir", mnist, "--workdir", tmp_path / "run"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "XLA_FLAGS": ""}, check=True)
    claim = json.loads((tmp_path / "run/result.json").read_text())["claim"]
    assert claim["holds"], claim
