"""Measure how fast jaxvision is against its peers, side by side in one run.

  scripts/run scripts/benchmark.py training_cpu --cases mlp --out results/training_cpu.jsonl

Ours and its peers take turns. Each line holds the medians over the repetitions and the ratios to every peer; one
above 1 means that ours is better. Needs the extra `bench`.
"""

import importlib
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.progress import track

from jaxvision.errors import InputError
from jaxvision.files import write_whole
from jaxvision.launch import environment
from scripts.benchmarks.case import Case, Make, Run, Unavailable, shown

SUITES = ("inference_cpu", "memory_cpu", "operators", "population", "startup", "training_cpu")
NAMES = ", ".join(SUITES)
SETTLING_SECONDS = 0.3  # the threads of OpenMP spin for a while after their work, on the cores of whoever is next


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    suite: Annotated[str, tyro.conf.Positional, tyro.conf.arg(help=f"Name of a suite: {NAMES}.")]
    cases: tuple[str, ...] = ()
    """Only cases whose names begin with one of these."""
    out: Path | None = None
    """File to write the results to, one JSON object a line."""
    repeats: int = 7
    """Turns of each side; the medians are reported."""


def main(arguments: Arguments) -> None:
    if arguments.suite not in SUITES:
        raise InputError(f"unknown suite {arguments.suite!r}: expected one of {NAMES}")
    try:
        suite = importlib.import_module(f"scripts.benchmarks.{arguments.suite}")
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed: benchmarks need the extra `bench`") from None
    cases = [case for case in suite.cases() if case.name.startswith(arguments.cases or ("",))]
    if not cases:
        raise InputError(f"no case of {arguments.suite} begins with {' or '.join(arguments.cases)}")
    lines = []
    for case in cases:
        line = {"suite": arguments.suite, **measure(case, arguments.repeats)}
        print(summary(line), file=sys.stderr)
        lines.append(json.dumps({**line, **environment("replicate")}))
        print(lines[-1])
        if arguments.out:
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            write_whole(arguments.out, "".join(line + "\n" for line in lines))


def measure(case: Case, repeats: int) -> dict:
    """The medians of all sides, which take turns so that a busy moment of the machine hits each of them."""
    runs, skipped = ready(case)
    figures = {name: [] for name in runs}
    for _ in track(range(repeats), case.name, transient=True, disable=not sys.stderr.isatty()):
        for name, run in runs.items():
            time.sleep(SETTLING_SECONDS)
            figures[name].append(run())
    medians = {name: statistics.median(values) for name, values in figures.items()}
    ours = medians.pop("ours")
    ratios = {name: peer / ours if case.less_is_better else ours / peer for name, peer in medians.items()}
    first = next(iter(medians))
    return {
        "case": case.name,
        "unit": case.unit,
        "ours": ours,
        "peer": medians[first],
        "peer_name": first,
        "ratio": ratios[first],
        "peers": medians,
        "ratios": ratios,
        "skipped": skipped,
        "repeats": repeats,
        "columns": case.columns(ours),
    }


def ready(case: Case) -> tuple[dict, dict]:
    """({side: what to run, compiled and warm}, {peer: why it can't be run here})."""
    runs, skipped = {"ours": warm(case.ours)}, {}
    for name, make in case.peers.items():
        try:
            runs[name] = warm(make)
        except Unavailable as reason:
            print(f"{case.name}: {name} skipped: {reason}", file=sys.stderr)
            skipped[name] = str(reason)
    if len(runs) == 1:
        raise InputError(f"{case.name}: no peer can be run here")
    return runs, skipped


def warm(make: Make) -> Run:
    run = make()
    run()  # compile, allocate, fill caches
    return run


def summary(line: dict) -> str:
    peers = [f"{name} {shown(peer)} ({line['ratios'][name]:.2f})" for name, peer in line["peers"].items()]
    figures = ", ".join([f"ours {shown(line['ours'])}", *peers])
    columns = "".join(f"; {name} {shown(figure)}" for name, figure in line["columns"].items())
    return f"{line['case']:>28}  {line['unit']}: {figures}{columns}"


if __name__ == "__main__":
    try:
        main(tyro.cli(Arguments, description=__doc__))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
