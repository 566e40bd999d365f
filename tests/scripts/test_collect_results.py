"""From work directories to the README's tables."""

import json

import pytest

from jaxvision.errors import InputError
from scripts.collect_results import BEGIN, END, main

PROVENANCE = {
    "git_revision": "0123456789abcdef",
    "devices": "1 x cpu",
    "versions": {},
    "parallel": "pmap",
    "command": "c",
}


def finished_run(path, seed, top1, *, experiment="mnist.mlp", smoke=False):
    path.mkdir(parents=True)
    config = {"experiment": experiment, "smoke": smoke, "config": {"seed": seed, "epochs": 3.0}, **PROVENANCE}
    result = {"experiment": experiment, "steps": 7, "seconds": 2.0 + seed, "test": {"loss": 0.1, "top1": top1}}
    (path / "config.json").write_text(json.dumps(config))
    (path / "result.json").write_text(json.dumps(result))
    return path


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    (root / "results").mkdir(parents=True)
    (root / "README.md").write_text(f"above\n{BEGIN}stale\n{END}below\n")
    return root


def test_seeds_become_mean_and_deviation(repository, tmp_path):
    runs = tuple(finished_run(tmp_path / str(seed), seed, top1) for seed, top1 in enumerate((0.97, 0.98, 0.99)))
    main(runs, repository)
    readme = (repository / "README.md").read_text()
    assert readme.startswith("above\n") and readme.endswith("below\n") and "stale" not in readme
    assert "| mnist.mlp | 98.00 ± 1.00 | 3 | 7 | 3 | 1 x cpu | 01234567 |" in readme
    main((), repository)
    assert (repository / "README.md").read_text() == readme


def test_members_of_a_population_are_so_many_seeds(repository, tmp_path):
    run = finished_run(tmp_path / "population", 0, 0.98)
    result = json.loads((run / "result.json").read_text())
    result["members"] = [{"test": {"top1": top1}} for top1 in (0.97, 0.98, 0.99)]
    (run / "result.json").write_text(json.dumps(result))
    main((run,), repository)
    assert "| mnist.mlp | 98.00 ± 1.00 | 3 | 7 | 2 | 1 x cpu |" in (repository / "README.md").read_text()


def test_claims_are_listed(repository, tmp_path):
    run = finished_run(tmp_path / "study", 0, 0.98, experiment="foundations.capacity")
    measured = {"gap": 0.123456, "at": [1, 2.5]}
    claim = {"text": "Gaps grow", "measured": measured, "bound": ">= 0.1", "holds": False}
    result = {"experiment": "foundations.capacity", "steps": 7, "seconds": 2.0, "claim": claim}
    (run / "result.json").write_text(json.dumps(result))
    main((run,), repository)
    readme = (repository / "README.md").read_text()
    assert "| foundations.capacity | Gaps grow | gap: 0.1235; at: (1, 2.5) | >= 0.1 | **no** | 01234567 |" in readme
    assert "| foundations.capacity | 9" not in readme


def benchmark(suite, **more):
    line = {"suite": suite, "case": "c", "ours": 2000.0, "unit": "images/s", "repeats": 7, "devices": "1 x cpu"}
    peers = {"peers": {"torch": 1000.0, "linen": 500.0}, "ratios": {"torch": 2.0, "linen": 4.0}, "columns": {}}
    return json.dumps({**line, **peers, "convolution": "XLA", "git_revision": None, **more}) + "\n"


def test_benchmarks_are_listed(repository):
    (repository / "results" / "s.jsonl").write_text(benchmark("s"))
    (repository / "results" / "o.jsonl").write_text(benchmark("operators", columns={"roofline_ms": 0.5}))
    main((), repository)
    readme = (repository / "README.md").read_text()
    figures = "2,000 images/s | torch 1,000 (2.00), linen 500 (4.00) | 7 | 1 x cpu | unknown |"
    assert f"| s c | XLA | {figures}" in readme
    assert "operators" not in readme
    table = (repository / "results" / "operators.md").read_text()
    assert f"| operators c | XLA | {figures} 0.5 ms |" in table


def test_what_proves_nothing_is_refused(repository, tmp_path):
    with pytest.raises(InputError, match="smoke run"):
        main((finished_run(tmp_path / "smoke", 0, 0.1, smoke=True),), repository)
    (tmp_path / "unfinished").mkdir()
    with pytest.raises(InputError, match=r"no result\.json"):
        main((tmp_path / "unfinished",), repository)
