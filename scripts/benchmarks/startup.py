"""Start-up on a CPU: seconds from the command to the first update of experiments.digits.cnn, its data prepared.

Cold, nothing is compiled; warm, an earlier run left what it compiled. The peer is a script that trains the same
network on the same images in PyTorch.

python -m scripts.benchmarks.startup ours DIRECTORY     starts one side in this process and ends with the update
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from scripts.benchmarks.case import Case, Unavailable

ROOT = Path(__file__).resolve().parents[2]
NOT_A_USERS = ("JAX_COMPILATION_CACHE_DIR", "PYTHONDONTWRITEBYTECODE")


def cases() -> list[Case]:
    def case(name, warm):
        sides = {side: partial(in_a_fresh_process, side, warm) for side in SIDES}
        return Case(f"digits_cnn_{name}", "s", sides.pop("ours"), sides, less_is_better=True)

    return [case("cold", warm=False), case("warm", warm=True)]


def in_a_fresh_process(side, warm):
    from jaxvision import data

    directory = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, directory)
    data.prepare("digits", data_dir=directory / "data")
    environment = {name: value for name, value in os.environ.items() if name not in NOT_A_USERS}
    environment["XDG_CACHE_HOME"] = str(directory / "cache")
    command = [sys.executable, "-m", "scripts.benchmarks.startup", side, str(directory)]

    def run():
        for old in ["run"] if warm else ["run", "cache"]:
            shutil.rmtree(directory / old, ignore_errors=True)
        started = time.perf_counter()
        finished = subprocess.run(
            command, cwd=ROOT, env=environment, check=False, stderr=subprocess.PIPE, text=True
        )
        seconds = time.perf_counter() - started
        if finished.returncode:
            raise Unavailable(finished.stderr.strip().splitlines()[-1])
        return seconds

    return run


def start_ours(directory: Path) -> None:
    """The experiment by its command line."""
    import jax

    from experiments.digits import cnn
    from jaxvision.launch import launch
    from jaxvision.training.dispatch import StreamingAdvance

    dispatch = StreamingAdvance.__call__

    def dispatch_once(*arguments):
        jax.block_until_ready(dispatch(*arguments))
        os._exit(0)

    StreamingAdvance.__call__ = dispatch_once
    sys.argv = ["digits.cnn", "--data-dir", str(directory / "data"), "--workdir", str(directory / "run")]
    launch(cnn.run, cnn.Config)


def start_torch(directory: Path) -> None:
    """What the tutorials write."""
    import torch
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.from_numpy(digits.images).float()[:, None] / 16
    images = (images - images.mean()) / images.std()
    labels = torch.from_numpy(digits.target)
    model = torch_network()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    rows = torch.randperm(len(images))[:64]
    torch.nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
    optimiser.step()
    os._exit(0)


def torch_network():
    """`DigitsCNN` of models.course_cnn."""
    from torch import nn

    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Dropout(0.25)),
        nn.Linear(64, 10),
    )


SIDES = {"ours": start_ours, "torch": start_torch}

if __name__ == "__main__":
    SIDES[sys.argv[1]](Path(sys.argv[2]))
