"""Choosing hyperparameters on validation data: grid, random search, cross-validation, and the whole procedure.

Settings are dictionaries of the numbers in `Task.hyper`; all settings of a search are trained at once, as one
population. Whatever has to differ in shape, such as a width, is chosen between searches.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.curves import LOWER_IS_BETTER
from jaxvision.training.config import TrainConfig
from jaxvision.training.population import Member
from jaxvision.training.run import Env, Outcome, train
from jaxvision.training.study import Part, begin, train_part


class Uniform(NamedTuple):
    """Numbers between `low` and `high`; with `log`, their logarithms are uniform."""

    low: float
    high: float
    log: bool = False

    def check(self) -> None:
        """Raise InputError unless low < high and, with `log`, 0 < low."""
        if not -math.inf < self.low < self.high < math.inf or (self.log and self.low <= 0):
            raise InputError(f"{self}: expected low < high, and low > 0 for logarithms")

    def draw(self, rng: np.random.Generator) -> float:
        """One of them. Raises InputError where there are none."""
        self.check()
        if self.log:
            return math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return float(rng.uniform(self.low, self.high))


def grid(**choices: Sequence[float]) -> list[dict[str, float]]:
    """Every combination of the choices, the last name varying fastest."""
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


def random_settings(count: int, seed: int, **ranges: Uniform) -> list[dict[str, float]]:
    """`count` random settings; more of them begin with the same ones.

    Bergstra & Bengio 2012, "Random search for hyper-parameter optimization", section 2.
    """
    rng = np.random.default_rng(seed)
    return [{name: one.draw(rng) for name, one in ranges.items()} for _ in range(count)]


class Score(NamedTuple):
    """How a setting did: mean and deviation over its members, by seed or fold, of one validation metric."""

    setting: dict[str, float]
    mean: float
    std: float


def search(
    task: Any,
    splits: Any,
    config: TrainConfig,
    env: Env,
    name: str,
    settings: list[dict[str, float]],
    *,
    restarts: int = 1,
    metric: str = "loss",
) -> tuple[list[Score], Part]:
    """Train every setting from `restarts` seeds on train and score it on validation, all at once.

    Returns the scores in the order of the settings, and the trained population, the restarts of a setting side
    by side. One that diverged scores infinity where low is good, and minus infinity where high is.
    """
    members = [
        Member(config.seed + restart, {**task.hyper, **setting})
        for setting in settings
        for restart in range(restarts)
    ]
    part = train_part(task, splits, config, env, name, members=members)
    return scores_of(settings, scored(part, metric).reshape(len(settings), restarts)), part


def cross_validate(
    task: Any,
    splits: Any,
    config: TrainConfig,
    env: Env,
    name: str,
    settings: list[dict[str, float]],
    *,
    folds: int = 5,
    metric: str = "loss",
) -> tuple[list[Score], Part]:
    """Score every setting by k-fold cross-validation on train and validation taken together (Stone 1974).

    The folds are stratified and the same for all settings. Every (setting, fold) is a member of one population,
    trained on the other folds and scored on its own. An epoch is as many updates as one over all folds would be:
    those that retraining on train and validation makes.

    Raises:
      InputError: early stopping is asked for, which has nothing to go by before the end.
    """
    if config.patience:
        raise InputError(f"--patience {config.patience}: expected 0, cross-validation measures at the end alone")
    development = splits.development()
    held_out = development.folds(folds, config.seed) * len(settings)
    members = [Member(config.seed, {**task.hyper, **setting}) for setting in settings for _ in range(folds)]
    order = development.fold_order(config.batch_size, [member.seed for member in members], held_out)
    part = train_part(task, development, config, env, name, members=members, order=order, held_out=held_out)
    return scores_of(settings, scored(part, metric).reshape(len(settings), folds)), part


def scored(part: Part, metric: str) -> np.ndarray:
    """The validation metric [P] of all members; the worst there is for one that diverged."""
    worst = math.inf if lower_is_better(metric) else -math.inf
    values = [worst if i in part.diverged else row[metric] for i, row in enumerate(part.validation)]
    return np.where(np.isfinite(values), values, worst)


def scores_of(settings: list[dict[str, float]], values: np.ndarray) -> list[Score]:
    """Scores of settings from the values [S, R] of their members; without a spread where one diverged."""
    finite = np.where(np.isfinite(values).all(1, keepdims=True), values, 0.0)
    deviations = finite.std(1, ddof=min(1, values.shape[1] - 1))
    return [Score(*row) for row in zip(settings, values.mean(1).tolist(), deviations.tolist())]


def lower_is_better(metric: str) -> bool:
    """Whether a small value of this metric is a good one."""
    return not LOWER_IS_BETTER.isdisjoint(metric.split("_"))


def best(scores: list[Score], metric: str = "loss") -> Score:
    """The best score; of equal ones the first."""
    sign = 1 if lower_is_better(metric) else -1
    return min(scores, key=lambda score: sign * score.mean)


def procedure(
    build: Callable,
    splits: Any,
    config: TrainConfig,
    env: Env,
    settings: list[dict[str, float]] | Callable,
    *,
    restarts: int = 1,
    folds: int = 0,
    metric: str = "loss",
) -> tuple[Outcome, list[Score], Part]:
    """Fit every setting on D, choose on V, retrain the winner on D and V, open T once.

    The training set D, the validation set V and the test set T are those of `splits`; what has to be
    measured on training data, such as a mean image, `build(config, splits) -> Task` measures on D, and once more on
    D and V for the retraining. Settings are scored by `search`, or by `cross_validate` if `folds` are given.
    Retrained are `config.population` seeds, to the end: there is nothing to stop early by.

    Instead of the settings to try there may be what finds them, `find(evaluate) -> scores` such as
    `sweep.shared_search`, where `evaluate(settings) -> scores` may be called as often as needed. Others may have
    trained the winner then, so it is fitted on D once more.

    Returns the Outcome of the retrained winner, the scores it won by, and the trainings they are from: those of all
    settings, or of what was found the winner's.

    Raises:
      InputError: `config.vary` asks for settings of its own, which T would be opened for.
    """
    if config.vary:
        raise InputError(f"--vary {' '.join(config.vary)}: the settings to try are those of the search")
    development = splits.development()
    task = build(config, development if folds else splits)

    def evaluate(settings, name):
        begin(env)
        arguments = task, splits, config, env, name, settings
        if folds:
            return cross_validate(*arguments, folds=folds, metric=metric)
        return search(*arguments, restarts=restarts, metric=metric)

    if callable(settings):
        scores = settings(lambda settings: evaluate(settings, part_name(settings))[0])
        _, part = evaluate([best(scores, metric).setting], "winner")
    else:
        scores, part = evaluate(settings, "search")
    winner = best(scores, metric).setting
    task = build(config, development)
    outcome = train(task._replace(hyper={**task.hyper, **winner}), development, config, env)
    rows = [{**score._asdict(), "mean": finite_or_none(score.mean)} for score in scores]
    outcome.result["selection"] = {"metric": metric, "winner": winner, "scores": rows}
    return outcome, scores, part


def part_name(settings: list[dict[str, float]]) -> str:
    """A name for the training of these settings and no others."""
    return "search_" + hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:10]


def finite_or_none(value: float) -> float | None:
    """The number as JSON knows it."""
    return value if math.isfinite(value) else None
