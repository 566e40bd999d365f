"""Memory on a CPU: the largest resident set of a process that trains, MiB, compilation included.

python -m scripts.benchmarks.memory_cpu ours     measures one side in this process
"""

import importlib
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

from scripts.benchmarks.case import Case, Unavailable

ROOT = Path(__file__).resolve().parents[2]
NETWORK = "resnet20"
EPOCHS = 3  # of six steps: how many steps XLA has begun at once, each with memory of its own, differs at first


def cases() -> list[Case]:
    peers = {side: partial(in_a_fresh_process, side) for side in ("linen", "torch")}
    return [Case(f"{NETWORK}_b128", "MiB", partial(in_a_fresh_process, "ours"), peers, less_is_better=True)]


def in_a_fresh_process(side):
    command = [sys.executable, "-m", "scripts.benchmarks.memory_cpu", side]

    def run():
        finished = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if finished.returncode:
            raise Unavailable(finished.stderr.strip().splitlines()[-1])
        return float(finished.stdout)

    return run


def peak_of_training(side: str) -> float:
    """MiB, after a few epochs. Linux never reports less than the process had that started this one."""
    run = importlib.import_module(f"scripts.benchmarks.training_{side}").training(NETWORK)
    for _ in range(EPOCHS):
        run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(peak_of_training(sys.argv[1]))
