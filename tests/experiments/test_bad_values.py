"""A number that makes no sense is refused in one line, before anything is written."""

import importlib
import sys
from dataclasses import replace
from typing import get_args, get_origin, get_type_hints

import pytest

from jaxvision.errors import InputError
from jaxvision.launch import launch
from jaxvision.training.config import resolve
from tests.experiments.test_smoke import MODULES

TOO_MANY = "digits: 5000 training examples, expected 1 to 1293"


@pytest.mark.parametrize("name", MODULES)
def test_every_number_of_a_config_has_a_range(name):
    config = importlib.import_module(name).Config()
    for field, hint in get_type_hints(type(config)).items():
        held = types_within(hint)
        if not held & {int, float}:
            continue
        wrong = float("nan") if float in held else -1
        with pytest.raises(InputError, match=f"^--{field.replace('_', '-')}"):
            resolve(replace(config, **{field: (wrong,) * 3 if tuple in held else wrong}))


def types_within(hint):
    """Such as {float, tuple, NoneType} of tuple[float, ...] | None."""
    return {get_origin(hint) or hint}.union(*map(types_within, get_args(hint)))


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("foundations.learning_rates", ["--rates"], "--rates: expected one number or more"),
        ("foundations.data_size", ["--examples", "50", "5000"], TOO_MANY),
        ("foundations.capacity", ["--examples", "5000"], TOO_MANY),
        ("foundations.regularisers", ["--examples", "5000"], TOO_MANY),
        ("foundations.gradient_check", ["--examples", "5000"], TOO_MANY),
        ("digits.neocognitron", ["--planes", "0", "8"], "--planes 0: expected at least 1"),
        ("digits.neocognitron", ["--blur-px", "4", "5"], "--blur-px 4: expected an odd number"),
        ("foundations.procedure", ["--folds", "1"], "1 folds: expected from 2 to"),
        ("foundations.procedure", ["--folds", "5", "--patience", "3"], "--patience 3: expected 0"),
        ("imagenet.compare", ["--models"], "--models: expected one model or more"),
        ("imagenet.compare", ["--models", "alexnet", "--image-size-px", "16"], ""),
        ("digits.cnn", ["--seed", "99999999999999999999"], "--seed 99999999999999999999: expected an integer"),
        ("cifar10.resnet", ["--momentum", "1.5"], "--momentum 1.5: expected a number from 0 to below 1"),
    ],
)
def test_one_line_and_nothing_written(name, flags, message, tmp_path, monkeypatch, capsys):
    module = importlib.import_module(f"experiments.{name}")
    smoke = ["--smoke"] if "cifar10" in name else []
    monkeypatch.setattr(sys, "argv", [name, "--workdir", str(tmp_path / "run"), *smoke, *flags])
    with pytest.raises(SystemExit, match="2"):
        launch(module.run, module.Config)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")
    assert not (tmp_path / "run").exists()
