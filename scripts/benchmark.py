"""Measure how fast jaxvision is against its peers, side by side in one run.

  python scripts/benchmark.py training_cpu --cases mlp --out results/training_cpu.jsonl

Ours and the peer take turns; each line holds the medians over the repetitions, and a ratio above 1 means that ours
is better. Needs the extra `bench`.
"""

import importlib
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.progress import track

from jaxvision.errors import InputError
from jaxvision.files import write_whole
from jaxvision.launch import environment
from scripts.benchmarks.case import Case

SUITES = ("training_cpu",)


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    suite: tyro.conf.Positional[str]
    """Name of a suite: training_cpu."""
    cases: tuple[str, ...] = ()
    """Only cases whose names begin with one of these."""
    out: Path | None = None
    """File to write the results to, one JSON object a line."""
    repeats: int = 7
    """Turns of each side; the medians are reported."""


def main(arguments: Arguments) -> None:
    if arguments.suite not in SUITES:
        raise InputError(f"unknown suite {arguments.suite!r}: expected one of {', '.join(SUITES)}")
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
        print(
            f"{case.name:>24}  ours {line['ours']:>12,.1f}  {line['peer_name']} {line['peer']:>12,.1f} "
            f"{line['unit']}  ratio {line['ratio']:.2f}",
            file=sys.stderr,
        )
        lines.append(json.dumps({**line, **environment("replicate")}))
        print(lines[-1])
        if arguments.out:
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            write_whole(arguments.out, "".join(line + "\n" for line in lines))


def measure(case: Case, repeats: int) -> dict:
    """The medians of both sides, which take turns so that a busy moment of the machine hits both."""
    ours, peers = case.ours(), {name: peer() for name, peer in case.peers.items()}
    for run in (ours, *peers.values()):
        run()  # compile, allocate, fill caches
    rates = {"ours": [], **{name: [] for name in peers}}
    for _ in track(range(repeats), case.name, transient=True, disable=not sys.stderr.isatty()):
        rates["ours"].append(ours())
        for name, peer in peers.items():
            rates[name].append(peer())
    medians = {name: statistics.median(values) for name, values in rates.items()}
    best = max(peers, key=medians.get)
    return {
        "case": case.name,
        "ours": medians["ours"],
        "peer": medians[best],
        "peer_name": case.peer_name,
        "peer_variant": best,
        "unit": "images/s",
        "ratio": medians["ours"] / medians[best],
        "repeats": repeats,
    }


if __name__ == "__main__":
    try:
        main(tyro.cli(Arguments, description=__doc__))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
