"""Choosing by validation: what is tried, what it scores, what wins; the test split stays shut until then."""

import dataclasses
import json
import math
import shutil

import jax
import numpy as np
import pytest

from jaxvision import data
from jaxvision.data import Splits
from jaxvision.errors import InputError
from jaxvision.training import selection
from jaxvision.training.population import Member, take
from jaxvision.training.selection import (
    Score,
    Uniform,
    best,
    cross_validate,
    grid,
    lower_is_better,
    procedure,
    random_settings,
    scores_of,
    search,
)
from jaxvision.training.state import digest
from jaxvision.training.study import train_part
from tests.training.conftest import CONFIG

SETTINGS = [{"learning_rate": 0.01}, {"learning_rate": 0.05}]


def splits():
    return data.load("digits", fake=True)


def close(ours, theirs, tolerance=1e-5):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.abs(one - other).max() <= tolerance * np.abs(other).max()


class Middle:
    """A generator that draws the middle of what it may."""

    def uniform(self, low, high):
        return (low + high) / 2


def test_a_grid_by_hand():
    assert grid(a=(1, 2), b=(10, 20, 30)) == [
        {"a": 1, "b": 10},
        {"a": 1, "b": 20},
        {"a": 1, "b": 30},
        {"a": 2, "b": 10},
        {"a": 2, "b": 20},
        {"a": 2, "b": 30},
    ]


def test_the_middle_is_the_mean_or_of_logarithms_the_geometric_mean():
    assert Uniform(0, 3).draw(Middle()) == 1.5
    assert Uniform(1e-4, 1e-2, log=True).draw(Middle()) == pytest.approx(1e-3)


def test_random_settings_fill_their_ranges_evenly():
    """A third of log-uniform numbers in each of three decades, a half of uniform ones in each half."""
    settings = random_settings(3000, 0, rate=Uniform(1e-4, 1e-1, log=True), part=Uniform(2, 4))
    rates, parts = (np.array([setting[name] for setting in settings]) for name in ("rate", "part"))
    assert rates.min() >= 1e-4 and rates.max() <= 1e-1 and parts.min() >= 2 and parts.max() <= 4
    np.testing.assert_allclose(np.histogram(rates, [1e-4, 1e-3, 1e-2, 1e-1])[0], 1000, atol=100)
    np.testing.assert_allclose(np.histogram(parts, [2, 3, 4])[0], 1500, atol=100)


def test_random_settings_are_those_of_their_seed():
    ranges = {"rate": Uniform(1e-4, 1e-1, log=True), "part": Uniform(2, 4)}
    assert random_settings(5, 1, **ranges) == random_settings(8, 1, **ranges)[:5]
    assert random_settings(5, 1, **ranges) != random_settings(5, 2, **ranges)


@pytest.mark.parametrize("impossible", [Uniform(1, 1), Uniform(2, 1), Uniform(0, 1, log=True)])
def test_impossible_ranges(impossible):
    with pytest.raises(InputError, match="expected low < high, and low > 0 for logarithms"):
        random_settings(1, 0, rate=impossible)


def test_scores_by_hand():
    values = np.array([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0], [1.0, math.inf, 1.0]])
    scores = scores_of([{"a": 1}, {"a": 2}, {"a": 3}], values)
    assert scores == [Score({"a": 1}, 2.0, 1.0), Score({"a": 2}, 4.0, 0.0), Score({"a": 3}, math.inf, 0.0)]
    assert scores_of([{}], np.array([[1.5]])) == [Score({}, 1.5, 0.0)]


def test_the_best_is_lowest_for_losses_and_highest_otherwise():
    scores = [Score({"a": i}, mean, 0.0) for i, mean in enumerate([0.5, 0.2, 0.9, 0.2, 0.9])]
    assert best(scores).setting == best(scores, "box_loss").setting == {"a": 1}
    assert best(scores, "top1").setting == {"a": 2}
    assert lower_is_better("error") and not lower_is_better("top1_vote")


def test_a_search_is_separate_trainings(runs):
    scores, part = search(
        runs.task(CONFIG), splits(), CONFIG, runs.env("search", CONFIG), "one", SETTINGS, restarts=2, metric="top1"
    )
    assert part.members == [Member(seed, setting) for setting in SETTINGS for seed in (0, 1)]
    for member in (1, 2):
        seed, setting = part.members[member]
        alone = runs.train(f"alone {member}", seed=seed, **setting)
        close(take(part.state.params, member), alone.state.params)
        assert part.validation[member] == pytest.approx(alone.result["validation"], rel=1e-4)
    tops = np.reshape([row["top1"] for row in part.validation], (2, 2))
    assert [score.setting for score in scores] == SETTINGS
    assert [score.mean for score in scores] == pytest.approx(tops.mean(1))
    assert [score.std for score in scores] == pytest.approx(np.abs(tops[:, 0] - tops[:, 1]) / np.sqrt(2))
    assert not list((runs.directory / "search").rglob("test_opened.json"))


def test_a_setting_that_diverges_scores_worst(runs):
    settings = [{"learning_rate": 1e30}, {"learning_rate": 0.05}]
    scores, part = search(runs.task(CONFIG), splits(), CONFIG, runs.env("run", CONFIG), "one", settings)
    assert scores[0].mean == math.inf and best(scores).setting == settings[1]
    assert selection.scored(part, "top1").tolist() == [-math.inf, part.validation[1]["top1"]]
    alone, _ = search(runs.task(CONFIG), splits(), CONFIG, runs.env("run", CONFIG), "alone", settings[:1])
    assert alone[0].mean == math.inf


def test_cross_validation_holds_each_example_out_once(runs, monkeypatch):
    seen = {}

    def watched(*args, **options):
        seen.update(options, splits=args[1])
        return train_part(*args, **options)

    monkeypatch.setattr(selection, "train_part", watched)
    env = runs.env("run", CONFIG)
    scores, part = cross_validate(runs.task(CONFIG), splits(), CONFIG, env, "cv", SETTINGS, folds=4)

    development = splits().development()
    assert len(development.train) == 96 and len(part.members) == 8
    assert part.members == [Member(0, setting) for setting in SETTINGS for _ in range(4)]
    labels = development.train.labels
    in_all = np.bincount(labels)
    for first in (0, 4):
        folds = seen["held_out"][first : first + 4]
        np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(96))
        for fold in folds:
            assert (np.abs(np.bincount(labels[fold], minlength=10) - in_all / 4) < 1).all()

    losses = np.array([row["loss"] for row in part.validation]).reshape(2, 4)
    for score, setting, values in zip(scores, SETTINGS, losses):
        assert score == Score(setting, pytest.approx(values.mean()), pytest.approx(values.std(ddof=1)))
    assert not list((runs.directory / "run").rglob("test_opened.json"))


def test_a_member_of_cross_validation_is_a_run_on_the_other_folds(runs):
    env = runs.env("run", CONFIG)
    _, part = cross_validate(runs.task(CONFIG), splits(), CONFIG, env, "cv", SETTINGS, folds=4)
    development = splits().development()
    folds = development.folds(4, CONFIG.seed)
    member = 6  # the second setting on the third fold
    complement = np.setdiff1d(np.arange(96), folds[2])
    alone = train_part(
        runs.task(CONFIG),
        dataclasses.replace(
            splits(), train=development.train.take(complement), validation=development.train.take(folds[2])
        ),
        CONFIG,
        env,
        "alone",
        members=[Member(0, SETTINGS[1])],
    )
    close(take(part.state.params, member), take(alone.state.params, 0))
    for name in ("loss", "top1"):
        assert part.validation[member][name] == pytest.approx(alone.validation[0][name], rel=1e-4)
        assert part.train[member][name] == pytest.approx(alone.train[0][name], rel=1e-4)


@pytest.fixture
def opened(monkeypatch):
    """The checksums a test split was opened for."""
    checksums = []
    open_test = Splits.open_test

    def watched(self, record, checksum):
        checksums.append(checksum)
        return open_test(self, record, checksum)

    monkeypatch.setattr(Splits, "open_test", watched)
    return checksums


def follow(runs, config=CONFIG, name="run", built=None, **options):
    """The procedure in `directory/name`."""

    def build(config, splits):
        if built is not None:
            built.append(len(splits.train))
        return runs.task(config)

    return procedure(build, splits(), config, runs.env(name, config), SETTINGS, **options)


@pytest.mark.parametrize("winner", [0, 1])
def test_the_procedure_retrains_the_winner_and_opens_the_test_split_once(runs, monkeypatch, opened, winner):
    scores = [Score(setting, float(i != winner), 0.0) for i, setting in enumerate(SETTINGS)]
    monkeypatch.setattr(selection, "search", lambda *args, **options: (scores, None))
    built = []
    outcome, _, _ = follow(runs, built=built)
    assert built == [64, 96]  # statistics are of D, then of D and V
    assert opened == [digest(outcome.state.variables)]
    record = json.loads((runs.directory / "run/test_opened.json").read_text())
    assert record["parameters_sha256"] == digest(outcome.state.variables)
    assert "validation" not in outcome.result and 0 <= outcome.result["test"]["top1"] <= 1
    assert outcome.result["selection"]["winner"] == SETTINGS[winner]

    by_hand = train_part(
        runs.task(CONFIG),
        splits().development(),
        CONFIG,
        runs.env("by hand", CONFIG),
        "one",
        members=[Member(0, SETTINGS[winner])],
    )
    close(outcome.state.params, take(by_hand.state.params, 0))


def test_the_procedure_chooses_by_validation(runs, opened):
    outcome, scores, part = follow(runs, restarts=2)
    losses = [np.mean([row["loss"] for row in part.validation[i : i + 2]]) for i in (0, 2)]
    assert [score.mean for score in scores] == pytest.approx(losses)
    assert outcome.result["selection"] == {
        "metric": "loss",
        "winner": SETTINGS[int(np.argmin(losses))],
        "scores": [score._asdict() for score in scores],
    }
    assert len(opened) == 1


def test_the_procedure_chooses_by_cross_validation(runs, opened):
    built = []
    outcome, scores, part = follow(runs, folds=4, built=built)
    losses = np.reshape([row["loss"] for row in part.validation], (2, 4)).mean(1)
    assert [score.mean for score in scores] == pytest.approx(losses)
    assert outcome.result["selection"]["winner"] == SETTINGS[int(np.argmin(losses))]
    assert built == [96, 96] and len(opened) == 1


def test_cross_validation_has_nothing_to_stop_early_by(runs):
    with pytest.raises(InputError, match="--patience 2: expected 0, cross-validation measures at the end alone"):
        follow(runs, dataclasses.replace(CONFIG, patience=2), folds=4)


def test_a_procedure_killed_in_its_search_goes_on(runs, monkeypatch, opened):
    straight, _, _ = follow(runs)
    (runs.directory / "run").rename(runs.directory / "straight")
    with monkeypatch.context() as killed:
        killed.setattr(selection, "best", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            follow(runs)
    runs.env("run", CONFIG).workdir.check()
    again, _, _ = follow(runs)
    assert digest(again.state.variables) == digest(straight.state.variables)
    assert opened == [digest(straight.state.variables)] * 2


def test_settings_other_than_those_of_the_search_would_be_chosen_on_the_test_split(runs, opened):
    with pytest.raises(
        InputError, match=r"--vary learning_rate=0\.1,1: the settings to try are those of the search"
    ):
        follow(runs, dataclasses.replace(CONFIG, vary=("learning_rate=0.1,1",)))
    assert not opened and not (runs.directory / "run").exists()


def test_a_second_look_with_other_parameters_is_refused(runs):
    follow(runs)
    (runs.directory / "other").mkdir()
    shutil.copy(runs.directory / "run/test_opened.json", runs.directory / "other")
    with pytest.raises(
        InputError, match=r"already opened for other parameters .* second look would choose by test"
    ):
        follow(runs, dataclasses.replace(CONFIG, seed=1), name="other")


@pytest.mark.parametrize("name", ["train", "validation"])
def test_the_test_split_can_not_be_chosen_on(runs, tmp_path, name):
    """However it is handed over: whole, in part, or among other examples."""
    original = splits()
    test = original.open_test(tmp_path / "record.json", "0" * 64)
    for smuggled in (test, test.take(np.arange(8)), test.joined(original.train), original.train.joined(test)):
        with pytest.raises(InputError, match=f"the test split was handed over as {name}; .* Choose on the valid"):
            search(
                runs.task(CONFIG),
                dataclasses.replace(original, **{name: smuggled}),
                CONFIG,
                runs.env("run", CONFIG),
                "cheating",
                SETTINGS,
            )
    assert not (runs.directory / "run").exists()
