"""Keep the results of finished runs under results/ and write the README's table of claims from all that is there.

The many operators have a table of their own, results/operators.md.

  scripts/run scripts/collect_results.py runs/mlp-seed0 runs/mlp-seed1

Runs of one experiment that differ only in their seed become one line: mean, standard deviation over n seeds.
Without arguments the table is only written anew.
"""

import hashlib
import json
import statistics
import sys
from pathlib import Path
from typing import Annotated

import tyro

from jaxvision.errors import InputError
from jaxvision.files import write_whole
from jaxvision.training.claim import in_words
from jaxvision.training.workdir import read_json, write_json
from scripts.benchmarks.case import shown

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- results: written by scripts/collect_results.py -->\n"
END = "<!-- end of results -->\n"
OPERATORS_TITLE = "# Operators, in milliseconds\n\nWritten by scripts/collect_results.py.\n\n"
PROVENANCE = ("git_revision", "devices", "versions", "parallel")


def main(runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = (), root: Path = ROOT) -> None:
    """Keep the results of finished runs and write the README's table from all that are kept.

    Args:
      runs: Work directories of finished runs.
      root: The repository.
    """
    for run in runs:
        keep(run, root / "results" / "runs")
    kept = [read_json(path) for path in sorted((root / "results" / "runs").glob("*.json"))]
    benchmarks = [
        json.loads(line)
        for path in sorted((root / "results").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    readme = (root / "README.md").read_text()
    before, found, rest = readme.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise InputError(f"{root / 'README.md'}: expected the lines {BEGIN.strip()!r} and {END.strip()!r}")
    operators = [line for line in benchmarks if line["suite"] == "operators"]
    others = [line for line in benchmarks if line["suite"] != "operators"]
    if operators:
        write_whole(root / "results" / "operators.md", OPERATORS_TITLE + benchmark_table(operators))
    accuracies = [record for record in kept if "top1" in record.get("test", {})]
    claims = [record for record in kept if "claim" in record]
    tables = "\n".join([accuracy_table(accuracies), claims_table(claims), benchmark_table(others)])
    write_whole(root / "README.md", before + BEGIN + "\n" + tables + "\n" + END + after)


def keep(run: Path, directory: Path) -> None:
    """Copy what a claim rests on from a work directory: config, result and provenance."""
    if not (run / "result.json").exists():
        raise InputError(f"{run}: no result.json; expected the work directory of a finished run")
    config, result = read_json(run / "config.json"), read_json(run / "result.json")
    if config["smoke"]:
        raise InputError(f"{run}: a --smoke run; expected one on real data")
    record = {**result, "config": config["config"], **{name: config[name] for name in PROVENANCE}}
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / f"{result['experiment']}-{variant(record)}.json", record)


def variant(record: dict) -> str:
    """Data set, model, a sign for all other settings, and the seed, as part of a file name."""
    config = {name: value for name, value in record["config"].items() if name != "seed"}
    settings = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:8]
    return "-".join([*choices(config), settings, f"seed{record['config']['seed']}"])


def choices(config: dict) -> list[str]:
    """What an experiment that leaves data set or model to the user was run on."""
    return [config[name] for name in ("dataset", "model") if name in config]


def accuracy_table(records: list[dict]) -> str:
    """One line for the runs, and members of populations, that differ only in their seed."""
    groups: dict[str, list[dict]] = {}
    for record in records:
        config = {name: value for name, value in record["config"].items() if name not in ("seed", "population")}
        groups.setdefault(json.dumps([record["experiment"], config], sort_keys=True), []).append(record)
    lines = [
        "| experiment | test top-1 % | n | steps | seconds | device | revision |",
        "|---|---|---|---|---|---|---|",
    ]
    for group in groups.values():
        first = group[0]
        top1 = [
            100 * member["test"]["top1"]
            for record in group
            for member in record.get("members", [record])
            if "test" in member
        ]
        seconds = statistics.median(record["seconds"] for record in group)
        name = " ".join([first["experiment"], *choices(first["config"])])
        lines.append(
            f"| {name} | {mean_and_deviation(top1)} | {len(top1)} | {first['steps']} | {seconds:.0f} "
            f"| {first['devices']} | {revisions(group)} |"
        )
    return "\n".join(lines) + "\n"


def claims_table(records: list[dict]) -> str:
    """The sentence each experiment illustrates, what was measured, and whether it holds."""
    lines = ["| experiment | claim | measured | bound | holds | revision |", "|---|---|---|---|---|---|"]
    for record in records:
        claim = record["claim"]
        cells = [record["experiment"], claim["text"], in_words(claim["measured"]), claim["bound"]]
        lines.append(row([*cells, "yes" if claim["holds"] else "**no**", revisions([record])]))
    return "\n".join(lines) + "\n"


def revisions(records: list[dict]) -> str:
    return ", ".join(sorted({(record["git_revision"] or "unknown")[:8] for record in records}))


def mean_and_deviation(values: list[float]) -> str:
    """Such as "97.62 ± 0.11", the deviation being that of the sample; alone where there is one value."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"


def benchmark_table(lines: list[dict]) -> str:
    """Ours against every peer, from the files of scripts/benchmark.py.

    Operators have a last column: what the machine's matmul peak and memory bandwidth allow.
    """
    columns = ["benchmark", "convolutions", "ours", "peers (ratio; above 1 ours is better)"]
    columns += ["repeats", "device", "revision"]
    roofline = ["roofline"] if lines and "roofline_ms" in lines[0]["columns"] else []
    rows = [row(columns + roofline), row(["---"] * len(columns + roofline))]
    for line in lines:
        peers = [f"{name} {shown(figure)} ({line['ratios'][name]:.2f})" for name, figure in line["peers"].items()]
        figures = [f"{line['suite']} {line['case']}", line["convolution"], f"{shown(line['ours'])} {line['unit']}"]
        origin = [str(line["repeats"]), line["devices"], (line["git_revision"] or "unknown")[:8]]
        bound = [f"{shown(line['columns']['roofline_ms'])} ms"] if roofline else []
        rows.append(row([*figures, ", ".join(peers), *origin, *bound]))
    return "\n".join(rows) + "\n"


def row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
