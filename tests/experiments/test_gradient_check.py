import json
import sys

import numpy as np
import pytest

from experiments.foundations.gradient_check import Config, run
from jaxvision.launch import launch


def test_errors_are_the_largest_of_all_seeds(tmp_path, monkeypatch):
    def errors(name, *flags):
        small = ["--smoke", "--examples", "4", "--hidden-units", "2"]
        monkeypatch.setattr(sys, "argv", [name, *small, "--workdir", str(tmp_path / name), *flags])
        launch(run, Config)
        return json.loads((tmp_path / name / "result.json").read_text())["relative_errors"]

    both = errors("both", "--seed", "3", "--population", "2")
    one, other = (errors(seed, "--seed", seed, "--population", "1") for seed in ("3", "4"))
    assert one.keys() == other.keys() == both.keys()
    for name, (_, forward, central) in both.items():
        larger = np.maximum(one[name], other[name])
        assert forward == pytest.approx(larger[1], rel=1e-3) and central == pytest.approx(larger[2], rel=0.3)
    assert one["MLP, squared"][1] != pytest.approx(other["MLP, squared"][1], rel=0.01)
