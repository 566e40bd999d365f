"""The arithmetic of a comparison; speed itself is not tested."""

import pytest

from jaxvision.errors import InputError
from scripts.benchmark import Arguments, main, measure
from scripts.benchmarks.case import Case


def runs(*rates):
    """A side of a comparison that is this fast, turn after turn; the first is the warm-up."""
    return lambda: iter(rates).__next__


def test_the_median_of_ours_against_the_best_setting_of_the_peer():
    case = Case("c", runs(0, 10, 40, 20), "torch", {"1": runs(0, 1, 2, 3), "2": runs(0, 5, 4, 3)})
    line = measure(case, repeats=3)
    assert (line["ours"], line["peer"], line["ratio"], line["repeats"]) == (20, 4, 5.0, 3)
    assert (line["peer_name"], line["peer_variant"]) == ("torch", "2")


def test_an_unknown_suite_is_named():
    with pytest.raises(InputError, match="unknown suite 'speed': expected one of training_cpu"):
        main(Arguments("speed"))
