"""The README's commands do what it says."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines() if line.strip()
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory for everything the commands write, with a folder of images to train on."""
    place = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    for label, name in enumerate(("daisy", "rose")):
        (place / "pictures" / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 100, (40, 48, 3)) + 100 * label
            Image.fromarray(pixels.astype(np.uint8)).save(place / "pictures" / name / f"{number}.png")
    return place


def execute(command, place):
    environment = {**os.environ, "JAXVISION_DATA": str(place / "data")}
    command = command.replace("scripts/run", str(ROOT / "scripts" / "run"), 1)
    command = command.replace("PATH_TO_FOLDER_OR_ARCHIVE", str(place / "pictures"))
    command = command.replace("PATH_TO_IMAGE", str(place / "pictures/daisy/0.png"))
    return subprocess.run(
        command, shell=True, check=False, cwd=place, env=environment, capture_output=True, text=True
    )


def test_commands_and_the_example_in_python(place):
    commands = [command for command in COMMANDS if command != "scripts/test"]
    assert len(commands) == len(COMMANDS) - 1 >= 4
    for command in commands:
        finished = execute(command, place)
        assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    example = re.findall(r"```python\n(.*?)```", README, re.S)[0]
    example = example.replace("runs/flowers", str(place / "runs/flowers"))
    names = {}
    exec(example.replace('"pictures"', repr(str(place / "pictures/daisy"))), names)
    assert names["logits"].shape == (20, 2)


def test_the_list_of_experiments_is_complete():
    listed = set(re.findall(r"^\| `(experiments\.[a-z0-9_.]+)` \|", README, re.M))
    files = (ROOT / "experiments").glob("*/*.py")
    there = {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if file.stem != "__init__"}
    assert listed == there


def test_an_unknown_experiment_is_refused(place):
    finished = execute("scripts/run experiments.digits.cnm", place)
    assert finished.returncode == 2
    assert "experiments.digits.cnm" in finished.stderr and len(finished.stderr.splitlines()) == 1
