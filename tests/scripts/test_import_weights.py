import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models, weights
from jaxvision.models.sources import sources_of

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, "scripts/import_weights.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def checkpoint(tmp_path):
    """Such as data-parallel training leaves, of a residual network of which little is left."""
    arrays = {
        "module.conv1.weight": np.zeros((16, 3, 3, 3), np.float16),
        "module.layer1.0.bn1.running_mean": np.zeros(16, np.float32),
        "module.layer1.0.bn1.num_batches_tracked": np.array(3),
        "module.layer3.0.conv1.weight": np.zeros((64, 32, 3, 3), np.float32),
        "module.linear.bias": np.zeros(10, np.float32),
    }
    weights.write(arrays, tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def test_what_is_in_a_file_and_the_same_in_another(checkpoint, tmp_path):
    done = run(checkpoint, "--out", tmp_path / "b.safetensors")
    said = (
        f"{checkpoint}: cifar resnet, 5 arrays with 18,874 parameters, 10 classes\nwrote {tmp_path}/b.safetensors\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    written = weights.read(tmp_path / "b.safetensors")
    assert written["conv1.weight"].dtype == np.float32 and len(written) == 5


def test_the_preprocessing_that_is_assumed_is_said(tmp_path):
    model, layout = models.create("resnet20", shortcut="B"), sources_of("resnet20")["cifar resnet"].layout
    template = jax.eval_shape(lambda: models.initialise(model, jax.random.key(0), jnp.zeros((1, 32, 32, 3))))
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), template)
    weights.save(variables, layout, tmp_path / "b.safetensors")
    done = run(tmp_path / "b.safetensors", "--model", "resnet20")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == (
        "fits resnet20, with images as for the published weights of this layout: "
        "resize 32 px bilinear, crop 32 px, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"
    )


def test_what_does_not_fit_is_not_written(checkpoint, tmp_path):
    refused = run(checkpoint, "--model", "resnet20", "--out", tmp_path / "b.safetensors")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert refused.stderr.startswith(
        f"error: {checkpoint}: does not fit the model by the layout cifar resnet: missing:"
    )
    assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.parametrize("out", ["b.png", "nowhere/b.safetensors"])
def test_what_can_not_be_written_is_one_line(checkpoint, tmp_path, out):
    refused = run(checkpoint, "--out", tmp_path / out)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert refused.stderr.startswith(f"error: {tmp_path}/{out.split('/')[0]}")
