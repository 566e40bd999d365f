import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SCRIPT = [sys.executable, "scripts/prepare_data.py"]


def run(*arguments, command=SCRIPT):
    return subprocess.run([*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "raw" / name).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / "raw" / name / f"{i}.png")
    return tmp_path / "raw"


def test_preparing_reports_counts_and_where_and_the_second_time_says_so(folder, tmp_path):
    arguments = ("pets", "--raw", folder, "--data-dir", tmp_path / "data")
    first = run(*arguments)
    where = f"in {tmp_path}/data/pets/1.0.0 (train 16, validation 2, test 2)\n"
    assert (first.returncode, first.stdout, first.stderr) == (0, f"pets: prepared {where}", "")
    second = run(*arguments, command=[sys.executable, "-m", "scripts.prepare_data"])
    again = "to prepare it again from --raw, delete that directory first\n"
    assert (second.returncode, second.stdout, second.stderr) == (0, f"pets: already prepared {where}{again}", "")


def test_corrupt_images(folder, tmp_path):
    (folder / "cat" / "3.png").write_bytes((folder / "cat" / "3.png").read_bytes()[:60])
    arguments = ("pets", "--raw", folder, "--data-dir", tmp_path / "data")
    refused = run(*arguments)
    assert refused.returncode == 2 and refused.stdout == ""
    assert (
        refused.stderr.startswith(f"error: {folder}/cat/3.png: corrupt image") and refused.stderr.count("\n") == 1
    )
    skipped = run(*arguments, "--on-bad-image", "skip")
    assert skipped.returncode == 0
    assert skipped.stdout.endswith("skipped 1 images that do not decode: cat/3.png\n")


def test_what_cannot_be_written_is_one_line(folder, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    refused = run("pets", "--raw", folder, "--data-dir", tmp_path / "file")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert refused.stderr.startswith("error: pets cannot be prepared in")


def test_a_full_disk_is_one_line_and_leaves_nothing_behind(folder, tmp_path):
    limited = ["bash", "-c", 'ulimit -f 8; exec "$@"', "limited", *SCRIPT]  # files of at most 8 kB
    refused = run("pets", "--raw", folder, "--data-dir", tmp_path / "data", command=limited)
    assert refused.returncode == 2 and "File too large" in refused.stderr
    assert refused.stderr.startswith("error: pets cannot be prepared in") and refused.stderr.count("\n") == 1
    assert not list((tmp_path / "data").iterdir())


def test_terminated_it_leaves_nothing_behind(tmp_path):
    data_dir, pipe = tmp_path / "data", tmp_path / "pipe.tar"
    os.mkfifo(pipe)  # reading it waits for ever
    data_dir.mkdir()
    process = subprocess.Popen([*SCRIPT, "mnist", "--raw", pipe, "--data-dir", data_dir], cwd=ROOT)
    while not list(data_dir.iterdir()):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 143
    assert not list(data_dir.iterdir())
