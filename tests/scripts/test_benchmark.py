"""The arithmetic of a comparison; speed itself is not tested."""

import importlib
import time

import pytest

from jaxvision.errors import InputError
from scripts.benchmark import SUITES, Arguments, main, measure, summary
from scripts.benchmarks.case import Case, Unavailable, best_of
from scripts.benchmarks.timing import seconds_a_call


def runs(*figures):
    """A side of a comparison that does so much, turn after turn; the first is the warm-up."""
    return lambda: iter(figures).__next__


def unavailable():
    raise Unavailable("no compiler")


def test_medians_and_the_ratio_to_the_first_peer():
    case = Case("c", "images/s", runs(0, 10, 40, 20), {"torch": runs(0, 5, 4, 3), "linen": runs(0, 9, 10, 11)})
    line = measure(case, repeats=3)
    assert (line["ours"], line["peer"], line["peer_name"], line["ratio"]) == (20, 4, "torch", 5.0)
    assert (line["peers"], line["ratios"]) == ({"torch": 4, "linen": 10}, {"torch": 5.0, "linen": 2.0})
    assert summary(line).strip() == "c  images/s: ours 20, torch 4 (5.00), linen 10 (2.00)"


def test_a_ratio_above_1_is_better_also_where_less_is():
    case = Case("c", "MiB", runs(0, 200), {"torch": runs(0, 300)}, less_is_better=True)
    assert measure(case, repeats=1)["ratio"] == 1.5


def test_the_best_setting_of_a_peer_counts():
    run = best_of(runs(1, 5), runs(4, 2))()
    assert [run(), run()] == [4, 5]


def test_a_peer_that_cannot_run_is_named(capsys):
    case = Case("c", "ms", runs(0, 1), {"torch.compile": unavailable, "torch": runs(0, 2)})
    line = measure(case, repeats=1)
    assert (line["peer_name"], line["skipped"]) == ("torch", {"torch.compile": "no compiler"})
    assert capsys.readouterr().err == "c: torch.compile skipped: no compiler\n"
    with pytest.raises(InputError, match="c: no peer"):
        measure(Case("c", "ms", runs(0, 1), {"torch": unavailable}), repeats=1)


def test_further_columns_follow_from_the_median():
    case = Case("c", "ms", runs(0, 4), {"torch": runs(0, 2)}, columns=lambda ours: {"gflop_per_s": 8 / ours})
    line = measure(case, repeats=1)
    assert line["columns"] == {"gflop_per_s": 2}
    assert summary(line).endswith("; gflop_per_s 2")


def test_time_is_a_mean_over_calls():
    calls = []
    seconds = seconds_a_call(lambda: calls.append(time.sleep(0.01)), least_seconds=0.05)
    assert seconds >= 0.01 and seconds * len(calls) >= 0.05


def test_an_unknown_suite_is_named():
    with pytest.raises(InputError, match=r"unknown suite 'speed': expected one of .*training_cpu"):
        main(Arguments("speed"))


@pytest.mark.parity
@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_names_its_cases(suite):
    names = [case.name for case in importlib.import_module(f"scripts.benchmarks.{suite}").cases()]
    assert names and len(names) == len(set(names))
