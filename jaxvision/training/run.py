"""A whole run: fit on train, watch validation, evaluate once on test, leave a report."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import optax

from jaxvision import plots
from jaxvision.parallel.multihost import barrier, fetch, is_lead
from jaxvision.training.checkpoints import Checkpoints
from jaxvision.training.config import TrainConfig
from jaxvision.training.dispatch import make_advance
from jaxvision.training.early_stopping import EarlyStopping
from jaxvision.training.evaluate import make_evaluate
from jaxvision.training.loop import Hook, Loop, fit
from jaxvision.training.progress import ProgressBar
from jaxvision.training.records import Recorder
from jaxvision.training.state import State, create_state, digest
from jaxvision.training.step import make_train_step
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
    """

    init: Callable
    loss_fn: Callable
    tx: optax.GradientTransformation
    metrics_fn: Callable
    hyper: dict
    record: dict


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


class Outcome(NamedTuple):
    """What training gave.

    Attributes:
      state: the final State (the best one, with early stopping), with host arrays.
      result: the content of result.json.
      records: the lines of metrics.jsonl.
      test: the test split.
      test_metrics: every metric of the test split, arrays included.
    """

    state: State
    result: dict
    records: list[dict]
    test: Any
    test_metrics: dict


def train(task: Task, splits, config: TrainConfig, env: Env) -> Outcome:
    """Train, or go on where the work directory stops, and evaluate the final parameters, on test once."""
    layout, path = env.layout, env.workdir.path
    advance = make_advance(
        make_train_step(task.loss_fn, task.tx),
        splits.train,
        order=splits.training_order(config.batch_size, config.seed),
        layout=layout,
        steps_per_dispatch=config.steps_per_dispatch,
    )
    initial = layout.place(initial_state(task, config.seed))
    advance.check(initial)  # before anything is written
    if is_lead():
        env.workdir.claim(env.environment)
        write_json(path / "model.json", task.record)
    barrier("work directory claimed")

    evaluate = make_evaluate(task.metrics_fn, layout, config.eval_batch_size)
    loop, records = fit_run(initial, splits, config, env, advance, evaluate)
    state = fetch(loop.state)
    test = splits.open_test(path / "test_opened.json", digest(state.variables))
    evaluated = {
        "train": evaluate(loop.state.variables, splits.train),
        "validation": evaluate(loop.state.variables, splits.validation),
        "test": evaluate(loop.state.variables, test),
    }
    result = {
        "experiment": env.workdir.experiment,
        "steps": loop.step,
        "evaluated_step": int(state.step),
        "seconds": round(loop.seconds, 3),
        "examples_per_second": round(loop.step * config.batch_size / max(loop.seconds, 1e-9), 1),
        **{split: only_scalars(metrics) for split, metrics in evaluated.items()},
    }
    return Outcome(state, result, records, test, evaluated["test"])


def initial_state(task: Task, seed: int) -> State:
    """The State before the first step, in one call that takes longer to optimise than to run."""

    def create(key):
        init_key, step_key = jax.random.split(key)
        return create_state(task.init(init_key, task.hyper), task.tx, step_key, task.hyper)

    return jax.jit(create, compiler_options={"xla_backend_optimization_level": 1})(jax.random.key(seed))


def fit_run(initial: State, splits, config: TrainConfig, env: Env, advance, evaluate) -> tuple[Loop, list[dict]]:
    """Train from the newest checkpoint, or from the start, to the end; returns the loop and metrics.jsonl."""
    path, examples = env.workdir.path, len(splits.train)
    total_steps = config.total_steps(examples)
    with closing(Checkpoints(path / "checkpoints", env.layout, keep=config.keep_checkpoints)) as checkpoints:
        loop, stopping = resume(checkpoints, initial, total_steps, config.patience)
        with closing(Recorder(path, loop.step)) as recorder, ProgressBar(total_steps, loop.step) as progress:
            if loop.step:
                progress.say(f"resuming {path} at step {loop.step} of {total_steps}")

            def log(loop: Loop) -> None:
                means = {name: total / count for name, (total, count) in loop.sums.items()}
                recorder.write(loop.step, "train", means)
                loop.sums = {}

            def validate(loop: Loop) -> None:
                nonlocal stopping
                metrics = only_scalars(evaluate(loop.state.variables, splits.validation))
                recorder.write(loop.step, "validation", metrics)
                stopping = stopping.update(loop.step, metrics["loss"])
                loop.stop = stopping.should_stop
                numbers = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
                progress.say(f"step {loop.step}/{total_steps}  validation {numbers}  {time_left(loop)} left")
                if loop.stop or (config.patience and stopping.best_step == loop.step):
                    save(loop)

            def save(loop: Loop) -> None:
                if loop.step in (checkpoints.saved, 0):
                    return
                notes = {"sums": loop.sums, "seconds": loop.seconds, "early_stopping": stopping[1:]}
                checkpoints.save(loop.step, loop.state, notes, pinned=stopping.best_step if config.patience else -1)

            def save_and_leave(loop: Loop) -> None:
                save(loop)
                checkpoints.wait()
                progress.say(f"asked to end: saved step {loop.step}; the same command goes on from there")

            hooks = (
                Hook(config.in_steps(config.log_every, examples), log),
                Hook(config.in_steps(config.eval_every, examples), validate),
                Hook(config.in_steps(config.checkpoint_every, examples), save),
            )
            fit(
                loop,
                advance,
                hooks=hooks,
                on_dispatch=lambda loop: progress.update(loop.step),
                on_terminate=save_and_leave,
            )
            if config.patience and stopping.best_step not in (loop.step, -1):
                loop.state, _ = checkpoints.restore(stopping.best_step, initial)
                progress.say(f"back to step {stopping.best_step}, the lowest validation loss")
        return loop, recorder.records


def resume(checkpoints: Checkpoints, initial: State, total_steps: int, patience: int):
    """The loop, and early stopping's record, at the newest good checkpoint or at the start."""
    if not (steps := checkpoints.steps()):
        return Loop(initial, 0, total_steps), EarlyStopping(patience)
    state, notes = checkpoints.restore(steps[-1], initial)
    stopping = EarlyStopping(patience, *notes["early_stopping"])
    loop = Loop(state, steps[-1], total_steps, notes["sums"], notes["seconds"], stop=stopping.should_stop)
    return loop, stopping


def only_scalars(metrics: dict) -> dict:
    """The metrics that are one number, as Python floats."""
    return {name: float(value) for name, value in metrics.items() if value.ndim == 0}


def time_left(loop: Loop) -> str:
    """Estimate of the time to the end, as minutes:seconds."""
    seconds = round(loop.seconds / loop.step * (loop.total_steps - loop.step))
    return f"{seconds // 60}:{seconds % 60:02d}"


def finish(outcome: Outcome, config: TrainConfig, env: Env, figures: dict, summary: str) -> None:
    """Write figures, report.html and, last of all, result.json: once it exists the run is done.

    Args:
      figures: {file name without suffix: (caption, Figure)}.
      summary: the experiment's docstring.
    """
    if not is_lead():
        return
    path = env.workdir.path
    (path / "figures").mkdir(exist_ok=True)
    curves = plots.training_curves(outcome.records, tuple(outcome.result["validation"]))
    plots.save(curves, path / "figures" / "curves.png")
    captions = []
    for name, (caption, figure) in figures.items():
        plots.save(figure, path / "figures" / f"{name}.png")
        captions.append((caption, path / "figures" / f"{name}.png"))
    plots.write_report(
        path / "report.html",
        title=env.workdir.experiment + (" (a trial on generated images)" if env.smoke else ""),
        summary=summary,
        result=outcome.result,
        config=asdict(config),
        environment=env.environment,
        records=outcome.records,
        figures=captions,
    )
    write_json(path / "result.json", outcome.result)
    print_result(outcome.result, path)


def print_result(result: dict, path: Path) -> None:
    """The final numbers and where to look, for people."""
    for split in ("train", "validation", "test"):
        print(f"{split:>10}  " + "  ".join(f"{name} {value:.4f}" for name, value in result[split].items()))
    print(f"{result['steps']} steps in {result['seconds']:.1f} s; report: {path / 'report.html'}")
