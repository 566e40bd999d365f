"""A whole run: fit on train, watch validation, evaluate once on test, leave a report."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optax

from jaxvision import plots
from jaxvision.errors import InputError
from jaxvision.parallel.multihost import barrier, fetch, is_lead
from jaxvision.training.claim import Claim
from jaxvision.training.config import RunConfig, TrainConfig
from jaxvision.training.dispatch import memory_of
from jaxvision.training.evaluate import make_evaluate
from jaxvision.training.fitting import make_trainer, only_scalars, train_members
from jaxvision.training.population import Member, members_of, of_members, spread, take
from jaxvision.training.state import State, digest
from jaxvision.training.workdir import WorkDir, write_json


class Task(NamedTuple):
    """What is trained and how it is judged.

    Attributes:
      init: `init(key, hyper) -> variables`.
      loss_fn: `loss_fn(params, model_state, batch, key, hyper) -> (losses [B], (model_state, scalars))`.
      tx: the optimiser.
      metrics_fn: `metrics_fn(variables, batch) -> {name: (sum, count)}`, "loss" among them.
      hyper: numbers a population may vary, by name.
      record: what rebuilds the trained model, as JSON values; becomes model.json.
      ensemble_metrics_fn: the same as metrics_fn for the variables [P, ...] of a population as one ensemble.
    """

    init: Callable
    loss_fn: Callable
    tx: optax.GradientTransformation
    metrics_fn: Callable
    hyper: dict
    record: dict
    ensemble_metrics_fn: Callable | None = None


@dataclass(frozen=True)
class Env:
    """Where a run takes place.

    Attributes:
      workdir: its files.
      data_dir: where prepared data sets are; None for the default place.
      layout: a layout of `parallel`.
      smoke: whether generated images stand in for the data set.
      environment: command, git revision, versions and devices, as JSON values.
    """

    workdir: WorkDir
    data_dir: Path | None
    layout: Any
    smoke: bool
    environment: dict

    def part(self, name: str, config: TrainConfig) -> "Env":
        """Where a part of this run takes place, a training with files of its own in parts/NAME."""
        workdir = WorkDir(self.workdir.path / "parts" / name, self.workdir.experiment, config, self.smoke)
        return replace(self, workdir=workdir)


class Outcome(NamedTuple):
    """What training gave.

    Attributes:
      state: the final State (the best one, with early stopping) of the first member, with host arrays.
      result: the content of result.json.
      records: the lines of metrics.jsonl.
      test: the test split.
      test_metrics: every metric of the first member on the test split, arrays included.
      members: the State of all members, [P, ...]; `state` itself where there is one.
    """

    state: State
    result: dict
    records: list[dict]
    test: Any
    test_metrics: dict
    members: State


def train(task: Task, splits, config: TrainConfig, env: Env, *, memory: bool = False) -> Outcome:
    """Train, or go on where the work directory stops, and evaluate the final parameters, on test once.

    Where `splits.validation` is None, as when a winner is trained on all there is, nothing is watched. Of a
    population the result has the mean and standard deviation over seeds, and every member's own numbers; where
    settings vary too (`config.vary`), the test split is opened for that with the lowest validation loss alone. The
    Outcome holds the first member of those measured, for figures, and all in `members`. With `memory` the result
    also says how many bytes an update takes on each device ("memory_bytes"); the compiler runs once more for it.
    """
    path = env.workdir.path
    members = members_of(config, task.hyper)
    trainer = make_trainer(
        task, splits.train, training_order(splits, config, members), members, config, env.layout
    )  # before anything is written
    if is_lead():
        env.workdir.claim(env.environment)
        write_json(path / "model.json", {**task.record, "members": len(members)})
    barrier("work directory claimed")
    planned = {"memory_bytes": memory_of(trainer.advance.compile(trainer.initial))} if memory else {}

    fitted = train_members(trainer, config, env, examples=len(splits.train), validation=splits.validation)
    loop, records = fitted.loop, fitted.records
    state = fetch(loop.state)
    result = {
        "experiment": env.workdir.experiment,
        "steps": loop.step,
        "evaluated_step": fitted.evaluated_steps[0] if len(members) == 1 else fitted.evaluated_steps,
        "seconds": round(loop.seconds, 3),
        "examples_per_second": round(len(members) * loop.step * config.batch_size / max(loop.seconds, 1e-9), 1),
        **planned,
    }
    watched = {"train": splits.train, "validation": splits.validation}
    scalars = {
        name: [
            only_scalars(metrics)
            for metrics in trainer.evaluate(loop.state.variables, dataset, f"evaluating on {name}")
        ]
        for name, dataset in watched.items()
        if dataset is not None
    }
    chosen = chosen_members(members, scalars, loop.diverged)
    measured = state.variables if len(chosen) == len(members) else of_members(state.variables, chosen)
    test = splits.open_test(path / "test_opened.json", digest(measured))
    on_test = trainer.evaluate(loop.state.variables, test, "evaluating on test")
    scalars["test"] = [only_scalars(metrics) for metrics in on_test]
    if len(members) == 1:
        result |= {name: each[0] for name, each in scalars.items()}
        return Outcome(state, result, records, test, on_test[0], state)
    if task.ensemble_metrics_fn and len(chosen) > 1:
        ensemble = make_evaluate(task.ensemble_metrics_fn, env.layout, config.eval_batch_size)
        together = of_members(loop.state.variables, chosen)
        result["ensemble"] = {"test": only_scalars(ensemble(together, test, "evaluating the ensemble"))}
    result |= population_result(members, scalars, chosen, loop.diverged)
    return Outcome(take(state, chosen[0]), result, records, test, on_test[chosen[0]], state)


def chosen_members(members: list[Member], scalars: dict[str, list[dict]], diverged: dict[int, int]) -> list[int]:
    """Whom the test split is opened for: the seeds of one setting, without those that diverged.

    Of several settings it is the one with the lowest validation loss, in the mean over its seeds.

    Raises:
      InputError: there are several and nothing to choose by.
    """
    settings: dict[str, list[int]] = {}
    for i, member in enumerate(members):
        if i not in diverged:
            settings.setdefault(json.dumps(member.hyper, sort_keys=True), []).append(i)
    if len(settings) == 1:
        return next(iter(settings.values()))
    if "validation" not in scalars:
        raise InputError("--vary: expected a validation split, several settings can't be compared without")
    return min(settings.values(), key=lambda seeds: np.mean([scalars["validation"][i]["loss"] for i in seeds]))


def training_order(splits, config: TrainConfig, members: list[Member]):
    """One order, or one for each member."""
    if len(members) == 1 or config.shared_batches:
        return splits.training_order(config.batch_size, members[0].seed)
    return splits.population_order(config.batch_size, [member.seed for member in members])


def population_result(
    members: list[Member], scalars: dict[str, list[dict]], chosen: list[int], diverged: dict[int, int]
) -> dict:
    """Means and standard deviations over the chosen members, and the numbers of each; of no other those on test."""
    spreads = {name: spread([each[i] for i in chosen]) for name, each in scalars.items()}
    rows = []
    for i, member in enumerate(members):
        seen = {name: each[i] for name, each in scalars.items() if name != "test" or i in chosen}
        row = {"seed": member.seed, "hyper": member.hyper, **seen}
        rows.append({**row, "diverged_at": diverged[i]} if i in diverged else row)
    means = {name: mean for name, (mean, _) in spreads.items()}
    deviations = {name: std for name, (_, std) in spreads.items()} if len(chosen) > 1 else {}
    varied = [name for name in members[0].hyper if len({member.hyper[name] for member in members}) > 1]
    return {**means, "std": deviations, "varied": varied, "chosen": chosen, "members": rows}


def finish(
    outcome: Outcome, config: TrainConfig, env: Env, figures: dict, summary: str, *, claim: Claim | None = None
) -> None:
    """Write figures, report.html and, last of all, result.json: once it exists the run is done.

    Args:
      figures: {file name without suffix: (caption, Figure)}.
      summary: the experiment's docstring.
      claim: the sentence the experiment illustrates.
    """
    curves = plots.training_curves(outcome.records, tuple(outcome.result["train"]))
    caption = "Training curves" + ", means of the members" * ("members" in outcome.result)
    figures = {"curves": (caption, curves), **figures}
    conclude(outcome.result, config, env, figures, summary, claim=claim)


def conclude(
    result: dict,
    config: RunConfig,
    env: Env,
    figures: dict,
    summary: str,
    *,
    claim: Claim | None = None,
) -> None:
    """`finish` for what is no single training: `result` is what result.json will hold, beside the claim."""
    if not is_lead():
        return
    path = env.workdir.path
    (path / "figures").mkdir(exist_ok=True)
    captions = []
    for name, (caption, figure) in figures.items():
        plots.save(figure, path / "figures" / f"{name}.png")
        captions.append((caption, path / "figures" / f"{name}.png"))
    if claim:
        result = {**result, "claim": claim._asdict()}
    plots.write_report(
        path / "report.html",
        title=env.workdir.experiment + (" (a trial on generated images)" if env.smoke else ""),
        summary=summary,
        result=result,
        config=asdict(config),
        environment=env.environment,
        figures=captions,
        claim=claim.sentence(trial=env.smoke) if claim else "",
    )
    write_json(path / "result.json", result)
    print_result(result, path, trial=env.smoke)


def print_result(result: dict, path: Path, *, trial: bool = False) -> None:
    """The final numbers and where to look, for people."""
    for split in ("train", "validation", "test"):
        if split in result:
            deviations = result.get("std", {}).get(split, {})
            numbers = (
                f"{name} {value:.4f}" + (f" ± {deviations[name]:.4f}" if name in deviations else "")
                for name, value in result[split].items()
            )
            print(f"{split:>10}  " + "  ".join(numbers))
    if "members" in result:
        shown = result["members"][result["chosen"][0]]
        if result["varied"]:
            print(f"{'chosen':>10}  " + "  ".join(f"{name} {shown['hyper'][name]:g}" for name in result["varied"]))
        print(f"{'shown':>10}  seed {shown['seed']}, in figures except the curves and in predictions")
    for split, scores in result.get("ensemble", {}).items():
        numbers = (f"{name} {value:.4f}" for name, value in scores.items())
        print(f"{split:>10}  " + "  ".join(numbers) + "  (as one ensemble)")
    if "claim" in result:
        print(Claim(**result["claim"]).sentence(trial=trial))
    cost = f"{result['steps']} steps in {result['seconds']:.1f} s; " if result["steps"] else ""
    print(f"{cost}report: {path / 'report.html'}")
