"""Every experiment that exists runs, and what it leaves behind predicts what it reports."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxvision
from jaxvision import data
from jaxvision.launch import launch
from jaxvision.ops.activations import step
from jaxvision.parallel import LAYOUTS
from jaxvision.tasks.perceptrons import signs

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in ROOT.glob("experiments/*/*.py")
    if path.name != "__init__.py"
)
CASES = [(module, "replicate") for module in MODULES]
CASES += [("experiments.digits.cnn", layout) for layout in LAYOUTS if layout != "replicate"]
LEFT_BY_A_STUDY = {"config.json", "result.json", "report.html", "figures"}
LEFT_BEHIND = LEFT_BY_A_STUDY | {"model.json", "metrics.jsonl", "test_opened.json", "checkpoints", "tensorboard"}


@pytest.mark.parametrize("name", MODULES)
def test_the_docstring_names_the_command(name):
    module = importlib.import_module(name)
    assert f"scripts/run {name} " in module.__doc__
    assert len(module.__doc__.splitlines()[0]) <= 116


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_smoke(name, layout, tmp_path, monkeypatch, capsys):
    opened = []

    def load(*args, **options):
        opened.append(load_splits(*args, **options))
        return opened[-1]

    load_splits = data.load
    monkeypatch.setattr(data, "load", load)
    flags = ["--smoke", "--parallel", layout, "--workdir", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", [name, *flags])
    module = importlib.import_module(name)
    launch(module.run, module.Config)

    assert list((tmp_path / "run/figures").glob("*.png"))
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["experiment"] == name.removeprefix("experiments.")
    left = {path.name for path in (tmp_path / "run").iterdir()} - {"parts"}
    if "claim" in result:
        assert {type(value) for name, value in result["claim"].items() if name != "measured"} == {str, bool}
    if not (tmp_path / "run/model.json").exists():  # a study, of several trainings or of none
        assert left - {"test_opened.json"} == LEFT_BY_A_STUDY and "claim" in result
        return
    assert left == LEFT_BEHIND and result["steps"] == 4
    assert np.isfinite(result["test"]["loss"]) and 0 <= result["test"]["top1"] <= 1
    assert f"top1 {result['test']['top1']:.4f}" in capsys.readouterr().out

    model, variables, preprocess, class_names = jaxvision.load_run(tmp_path / "run")
    (splits,) = opened
    if set(class_names) < set(splits.info.class_names):
        splits = splits.only(class_names)
    test = splits.open_test(tmp_path / "opened_here.json", "0" * 64)
    examples = test.gather(np.arange(len(test)))
    logits = np.asarray(model.apply(variables, preprocess(examples["image"])), np.float64)
    labels = examples["label"]
    if model.act is step:  # perceptrons, which answer +1 or -1
        right = (logits == signs(labels, model.num_classes)).all(1)
        assert right.mean() == pytest.approx(result["test"]["top1"], abs=1e-6)
        return
    assert logits.shape == (len(test), len(class_names)) and class_names == splits.info.class_names
    logits -= logits.max(1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    smoothing = json.loads((tmp_path / "run/config.json").read_text())["config"].get("label_smoothing", 0)
    losses = -(1 - smoothing) * log_probabilities[np.arange(len(labels)), labels]
    losses -= smoothing * log_probabilities.mean(1)
    assert losses.mean() == pytest.approx(result["test"]["loss"], rel=1e-4)
    assert (logits.argmax(1) == labels).mean() == pytest.approx(result["test"]["top1"], abs=1e-6)
