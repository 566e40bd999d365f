import json
import sys

import numpy as np
import pytest

import jaxvision
from experiments.mnist.one_versus_all import percentages
from experiments.mnist.perceptron import Config, build, run, weights_over_time
from jaxvision import data
from jaxvision.launch import launch
from jaxvision.parallel import make_layout
from jaxvision.training.run import Env, train
from jaxvision.training.workdir import WorkDir


def test_weights_over_time_are_those_of_the_training(tmp_path):
    config = Config(
        epochs=0.0,
        steps=11,
        batch_size=2,
        steps_per_dispatch=3,
        moments=(1, 5, 40),
        eval_every="4 steps",
        log_every="4 steps",
        checkpoint_every="4 steps",
    )
    splits = data.fake("mnist").only(("0", "1"))
    task = build(config, splits)
    env = Env(WorkDir(tmp_path / "run", "mnist.perceptron", config, True), None, make_layout("replicate"), True, {})
    trained = train(task, splits, config, env).state.params["head"]["kernel"]
    seen, weights = weights_over_time(task, splits, config, env)
    np.testing.assert_array_equal(seen, [2, 10, 22])
    np.testing.assert_array_equal(weights[-1], trained.reshape(28, 28, 1))
    first = splits.train.gather(splits.training_order(2, 0).batch(0))
    wrong = first["label"] == 0  # f(0) = +1
    expected = -(first["image"][wrong] / np.float32(255)).sum(0) / 2
    np.testing.assert_allclose(weights[0], expected, atol=1e-6)


@pytest.mark.parametrize("flags", [[], ["--shared-batches"]])
def test_weights_and_accuracy_of_the_claim_are_of_the_member_chosen(tmp_path, monkeypatch, flags):
    """Here the last of four: the second seed at the second rate."""
    monkeypatch.setattr("jaxvision.training.run.chosen_members", lambda *_: [3])
    workdir = tmp_path / "run"
    vary = ["--population", "2", "--vary", "learning_rate=1,0.5", *flags]
    monkeypatch.setattr(sys, "argv", ["perceptron", "--smoke", "--workdir", str(workdir), *vary])
    launch(run, Config)
    result = json.loads((workdir / "result.json").read_text())
    measured = result["claim"]["measured"]
    assert measured["top1"] == pytest.approx(result["members"][3]["test"]["top1"], abs=1e-4)
    lengths = [
        np.linalg.norm(jaxvision.load_run(workdir, member=member)[1]["params"]["head"]["kernel"])
        for member in range(4)
    ]
    assert list(measured["lengths"].values())[-1] == pytest.approx(lengths[3], abs=0.006)
    assert abs(lengths[0] - lengths[3]) > 0.02


def test_percentages():
    table = percentages(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]), ("a", "b", "c"))
    nothing = [0, 0, 0, 0]
    np.testing.assert_array_equal(table, [[50, 50, 0, 0], [0, 50, 50, 0], nothing, [25, 50, 25, 0]])
