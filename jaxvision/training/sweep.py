"""Searches that several processes or machines share, by Optuna (Akiba et al. 2019). Needs the extra `sweep`.

Whoever is given the same journal takes part in the same search: each asks for settings that no one else has, trains
them as one population, and tells how they did.
"""

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from jaxvision.errors import InputError
from jaxvision.training.selection import Score, Uniform, lower_is_better

POLL_S = 0.5
JOURNAL_START = b'{"op_code":'
MISREAD = (ValueError, LookupError, TypeError, AttributeError, AssertionError)  # Optuna expects what it wrote


def shared_search(
    evaluate: Callable[[list[dict[str, float]]], list[Score]],
    ranges: dict[str, Uniform],
    journal: Path,
    *,
    trials: int,
    at_once: int = 8,
    metric: str = "loss",
    lost_after_s: float = 3600.0,
    owner: str = "",
    about: dict | None = None,
) -> list[Score]:
    """Take part in a search until it has `trials` finished trials; returns them all, those of others too.

    Settings are drawn by a tree-structured Parzen estimator (Bergstra et al. 2011, "Algorithms for hyper-parameter
    optimization", section 4). Which ones depends on what others have finished, so there is no seed.

    Args:
      evaluate: settings -> the score of each, such as by `selection.search`; one that isn't finite counts as the
        worst there is.
      ranges: where to look for each number.
      journal: a file on a disk that all share; made by the first.
      at_once: settings to train as one population.
      lost_after_s: a trial of another process that has been seen running for so long is given up, its process was
        probably killed, and another one made in its place. Has to be longer than `evaluate` takes.
      owner: who takes part, on which machine; trials of the same owner from before a restart are given up at once.
      about: what else has to be the same for all who take part, as JSON values.

    Raises:
      InputError: Optuna is not installed, a range is empty, or the journal can't be made, is no journal or one of
        another search.
    """
    for bounds in ranges.values():
        bounds.check()
    study = _open_study(journal, lower_is_better(metric))
    _agree(study, journal, {**(about or {}), "ranges": ranges, "trials": trials, "metric": metric})
    _give_up_own(study, owner)
    worst = math.inf if lower_is_better(metric) else -math.inf
    first_seen: dict[int, float] = {}
    while len(_in_state(study, "COMPLETE")) < trials:
        _give_up_lost(study, first_seen, lost_after_s)
        if mine := _ask(study, trials, at_once, owner):
            settings = [
                {name: trial.suggest_float(name, *bounds[:2], log=bounds.log) for name, bounds in ranges.items()}
                for trial in mine
            ]
            for trial, score in zip(mine, evaluate(settings), strict=True):
                _tell(study, trial, score.mean if math.isfinite(score.mean) else worst, std=score.std)
        else:
            time.sleep(POLL_S)
    return [Score(trial.params, trial.value, trial.user_attrs["std"]) for trial in _in_state(study, "COMPLETE")]


def _open_study(journal, minimise):
    try:
        import optuna
        from optuna.storages.journal import JournalFileBackend
    except ModuleNotFoundError:
        raise InputError("optuna is not installed: a shared search needs the extra `sweep`") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        _check_start(journal)
        return optuna.create_study(
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(journal))),
            study_name="search",
            direction="minimize" if minimise else "maximize",
            sampler=optuna.samplers.TPESampler(),
            load_if_exists=True,
        )
    except OSError as error:
        raise InputError(f"{journal}: expected a file in a folder that can be written ({error})") from None
    except MISREAD as error:
        raise InputError(f"{journal}: is no journal of Optuna, or a damaged one ({error!r})") from None


def _check_start(journal):
    """Before Optuna adds its lines to a file of somebody else: it overlooks one that makes no sense at the end."""
    if journal.exists():
        with journal.open("rb") as file:
            start = file.read(len(JOURNAL_START))
        if start != JOURNAL_START[: len(start)]:
            raise InputError(f"{journal}: is no journal of Optuna; give the name of one, or of a new file")


def _agree(study, journal, search):
    """Whoever comes first says what is searched for."""
    here = json.loads(json.dumps(search))
    if "search" not in study.user_attrs:
        study.set_user_attr("search", here)
    there = study.user_attrs["search"]
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    if names:
        differences = ", ".join(f"{name}: {there.get(name)!r} there, {here.get(name)!r} here" for name in names)
        raise InputError(
            f"{journal}: holds another search; expected another journal, or the same flags: {differences}"
        )


def _ask(study, trials, at_once, owner=""):
    """New trials of ours: at most `at_once`, and no more than are missing.

    Trials have one order for all processes. One that was asked for at the same time as others is ours to train
    only if fewer than `trials` come before it that may still finish: so there are never more than that.
    """
    mine = []
    while len(mine) < at_once and len(_in_state(study, "RUNNING", "COMPLETE")) < trials:
        trial = study.ask()
        trial.set_user_attr("owner", owner)
        if sum(other.number < trial.number for other in _in_state(study, "RUNNING", "COMPLETE")) >= trials:
            _tell(study, trial, state=_failed())
            break
        mine.append(trial)
    return mine


def _give_up_lost(study, first_seen, lost_after_s):
    now = time.monotonic()  # of this process: the clocks of others may differ
    for trial in _in_state(study, "RUNNING"):
        if now - first_seen.setdefault(trial.number, now) > lost_after_s:
            _tell(study, trial.number, state=_failed())


def _give_up_own(study, owner):
    """What this process was at before it was stopped."""
    for trial in _in_state(study, "RUNNING"):
        if owner and trial.user_attrs.get("owner") == owner:
            _tell(study, trial.number, state=_failed())


def _tell(study, trial, value=None, state=None, std=None):
    """What became of a trial, unless someone told first."""
    with suppress(RuntimeError):  # when they told between Optuna's look and its writing
        if std is not None:
            trial.set_user_attr("std", std)
        study.tell(trial, value, state, skip_if_finished=True)


def _in_state(study, *states):
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in states]


def _failed():
    from optuna.trial import TrialState

    return TrialState.FAIL
