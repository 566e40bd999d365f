"""The whole procedure: choose hyperparameters on validation data, retrain the winner, open the test set once.

In eight steps: (1) training set D, validation set V, test set T; (2) D's mean image is subtracted;
(3) pixels then lie in [-1, 1]; (4) a multilayer perceptron; (5) Adam with decoupled weight decay and a cosine
schedule; (6) epochs that visit every example once, in a new order, with D and V watched; (7) learning rate and
weight decay chosen by the loss on V, from a grid, at random (Bergstra & Bengio 2012) or by Optuna, every setting
from several seeds, or by cross-validation, every part of D and V being V once (Stone 1974); (8) the winner trained
anew on D and V together, and judged on T. The third command, started several times or on several machines, with a
work directory for each, makes one search of all: they share the journal.

  scripts/run experiments.foundations.procedure --workdir runs/procedure
  scripts/run experiments.foundations.procedure --dataset mnist --epochs 5 --workdir runs/procedure_mnist
  scripts/run experiments.foundations.procedure --search optuna --journal runs/journal --workdir runs/procedure_1
"""

import json
import platform
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import jax
import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.errors import InputError
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures, classification_task
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.masks import not_bias_or_norm
from jaxvision.training.optimizers import with_weight_decay
from jaxvision.training.ranges import NonNegativeInt, PositiveFloat, PositiveInt
from jaxvision.training.run import finish
from jaxvision.training.schedules import cosine, scheduled
from jaxvision.training.selection import Uniform, finite_or_none, grid, procedure, random_settings
from jaxvision.training.state import digest
from jaxvision.training.sweep import shared_search

AT_ONCE = 4  # settings that Optuna is asked for at a time; it learns from those before


@dataclass(frozen=True)
class Config(TrainConfig):
    """A multilayer perceptron whose learning rate and weight decay are searched for."""

    epochs: float = 30.0
    batch_size: int = 64
    steps_per_dispatch: int = 256
    eval_every: str = "2 epochs"
    checkpoint_every: str = "15 epochs"
    dataset: Literal["digits", "mnist"] = "digits"
    """Which digits."""
    search: Literal["grid", "random", "optuna"] = "grid"
    """Try every combination, or as many between the smallest and the largest numbers: random ones or Optuna's."""
    journal: str = ""
    """File by which all who are given it make one search, with --search optuna; made by the first of them."""
    learning_rates: tuple[PositiveFloat, ...] = (1e-3, 1e-2, 1e-1, 1.0)
    """Step sizes to try, instead of --learning-rate."""
    weight_decays: tuple[PositiveFloat, ...] = (1e-2, 1e-1, 1.0)
    """Decoupled weight decays to try, relative to the learning rate."""
    restarts: PositiveInt = 3
    """Seeds each setting is trained from, where V is one and the same."""
    folds: NonNegativeInt = 0
    """Parts of D and V for cross-validation, such as 5; 0 has D and V as they are."""
    hidden_units: PositiveInt = 64
    """Width of the hidden layer."""


def build(config, splits):
    adam = with_weight_decay(optax.adam, coupled=False, mask=not_bias_or_norm)
    hyper = {"learning_rate": config.learning_rates[0], "weight_decay": config.weight_decays[0]}
    return classification_task(
        "mlp",
        {"features": [config.hidden_units]},
        preprocess=augment.Preprocess(splits.info.image_shape, data.mean_image(splits.train), (1.0,)),
        class_names=splits.info.class_names,
        tx=scheduled(adam, cosine(config.total_steps(len(splits.train))), **hyper),
        hyper=hyper,
    )


def settings_of(config, env):
    """The settings to try, or the search that finds them."""
    if (config.search == "optuna") != bool(config.journal):
        raise InputError(
            f"--search {config.search} --journal {config.journal!r}: expected a file for optuna and for no other"
        )
    choices = {"learning_rate": config.learning_rates, "weight_decay": config.weight_decays}
    every = grid(**choices)
    if config.search == "grid":
        return every
    ranges = {name: Uniform(min(numbers), max(numbers), log=True) for name, numbers in choices.items()}
    if config.search == "random":
        return random_settings(len(every), config.seed, **ranges)
    if jax.process_count() > 1:
        raise InputError("--search optuna: expected single processes, each with a work directory of its own")
    return partial(
        shared_search,
        ranges=ranges,
        journal=Path(config.journal),
        trials=len(every),
        at_once=AT_ONCE,
        owner=f"{platform.node()}:{env.workdir.path.resolve()}",
        about={name: value for name, value in asdict(config).items() if name != "journal"},
    )


def judge(outcome, scores, validation, workdir):
    """The claim, from all scores, and from the winner's accuracy on V."""
    openings = [json.loads(path.read_text()) for path in sorted(workdir.rglob("test_opened.json"))]
    median, test = float(np.median([score.mean for score in scores])), outcome.result["test"]
    return Claim(
        "What is chosen on V does as well on T, which is opened once, for what was retrained on D and V",
        {
            "openings of T": len(openings),
            "accuracy on V": round(validation, 4),
            "accuracy on T": round(test["top1"], 4),
            "loss on V, median setting": finite_or_none(round(median, 4)),
            "loss on T": round(test["loss"], 4),
        },
        "one opening, for the final parameters; on T accuracy within 0.03 of V, loss below the median setting's",
        bool(
            [opening["parameters_sha256"] for opening in openings] == [digest(outcome.members.variables)]
            and abs(test["top1"] - validation) <= 0.03
            and test["loss"] < median
        ),
    )


def run(config, env):
    splits = data.load(config.dataset, env.data_dir, fake=env.smoke)
    settings = settings_of(config, env)
    outcome, scores, part = procedure(
        build, splits, config, env, settings, restarts=config.restarts, folds=config.folds
    )
    winner = outcome.result["selection"]["winner"]
    members = [i for i, member in enumerate(part.members) if member.hyper == winner]
    validation = float(np.mean([part.validation[i]["top1"] for i in members]))
    claim = judge(outcome, scores, validation, env.workdir.path)
    tried = [score.setting for score in scores]
    repeated = f"{config.folds} folds" if config.folds else f"{config.restarts} seeds"
    figures = {
        "search": (
            f"Loss on V of every setting, the mean of {repeated}; the best is circled",
            plots.scatter(
                *zip(*(setting.values() for setting in tried)),
                [score.mean for score in scores],
                x_label="learning rate",
                y_label="weight decay",
                label="validation loss (nats)",
                log_x=True,
                log_y=True,
                circled=tried.index(winner),
                title="Loss on V of every setting, the best circled",
            ),
        ),
        "winner": (
            f"The best setting on D (train) and, while it trained, on V (validation), the mean of {repeated}",
            plots.training_curves([row for row in part.records if row.get("member", 0) in members]),
        ),
        **classification_figures(build(config, splits.development()), outcome),
    }
    finish(outcome, config, env, figures, __doc__, claim=claim)


if __name__ == "__main__":
    launch(run, Config)
