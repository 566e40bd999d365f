"""The whole procedure: choose hyperparameters on validation data, retrain the winner, open the test set once.

COURSE A12, in eight steps: (1) training set D, validation set V, test set T; (2) D's mean image is subtracted;
(3) pixels then lie in [-1, 1]; (4) a multilayer perceptron; (5) Adam with decoupled weight decay and a cosine
schedule; (6) epochs that visit every example once, in a new order, with D and V watched; (7) learning rate and
weight decay chosen by the loss on V, from a grid or at random (Bergstra & Bengio 2012), every setting from several
seeds, or by cross-validation, every part of D and V being V once (Stone 1974); (8) the winner trained anew on D and
V together, and judged on T.

  scripts/run experiments.foundations.procedure --workdir runs/procedure
  scripts/run experiments.foundations.procedure --dataset mnist --epochs 5 --workdir runs/procedure_mnist
"""

import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures, classification_task
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.masks import not_bias_or_norm
from jaxvision.training.optimizers import with_weight_decay
from jaxvision.training.run import finish
from jaxvision.training.schedules import cosine, scheduled
from jaxvision.training.selection import Uniform, grid, procedure, random_settings
from jaxvision.training.state import digest


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
    search: Literal["grid", "random"] = "grid"
    """Whether to try every combination, or as many random ones between the smallest and the largest numbers."""
    learning_rates: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0)
    """Step sizes to try, instead of --learning-rate."""
    weight_decays: tuple[float, ...] = (1e-2, 1e-1, 1.0)
    """Decoupled weight decays to try, relative to the learning rate."""
    restarts: int = 3
    """Seeds each setting is trained from, where V is one and the same."""
    folds: int = 0
    """Parts of D and V for cross-validation, such as 5; 0 has D and V as they are."""
    hidden_units: int = 64
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


def settings_of(config):
    """The settings to try."""
    choices = {"learning_rate": config.learning_rates, "weight_decay": config.weight_decays}
    every = grid(**choices)
    if config.search == "grid":
        return every
    ranges = {name: Uniform(min(numbers), max(numbers), log=True) for name, numbers in choices.items()}
    return random_settings(len(every), config.seed, **ranges)


def judge(outcome, tops, winner, workdir):
    """The claim, from accuracies [S] on V."""
    openings = [json.loads(path.read_text()) for path in sorted(workdir.rglob("test_opened.json"))]
    validation, median, test = float(tops[winner]), float(np.median(tops)), outcome.result["test"]["top1"]
    return Claim(
        "What is chosen on V does as well on T, which is opened once, for what was retrained on D and V",
        {
            "openings of T": len(openings),
            "accuracy on V": round(validation, 4),
            "accuracy on V, median setting": round(median, 4),
            "accuracy on T": round(test, 4),
        },
        "one opening, for the final parameters; on T within 0.03 of V, and above the median setting on V",
        bool(
            [opening["parameters_sha256"] for opening in openings] == [digest(outcome.members.variables)]
            and abs(test - validation) <= 0.03
            and test > median
        ),
    )


def run(config, env):
    splits = data.load(config.dataset, env.data_dir, fake=env.smoke)
    settings = settings_of(config)
    outcome, scores, part = procedure(
        build, splits, config, env, settings, restarts=config.restarts, folds=config.folds
    )
    winner = settings.index(outcome.result["selection"]["winner"])
    each = config.folds or config.restarts
    members = range(winner * each, (winner + 1) * each)
    tops = np.reshape([row["top1"] for row in part.validation], (len(settings), each)).mean(1)
    claim = judge(outcome, tops, winner, env.workdir.path)
    repeated = f"{each} folds" if config.folds else f"{each} seeds"
    figures = {
        "search": (
            f"Loss on V of every setting, the mean of {repeated}; the best is circled",
            plots.scatter(
                *zip(*(setting.values() for setting in settings)),
                [score.mean for score in scores],
                x_label="learning rate",
                y_label="weight decay",
                label="validation loss (nats)",
                log_x=True,
                log_y=True,
                circled=winner,
                title="Loss on V of every setting, the best circled",
            ),
        ),
        "winner": (
            f"The best setting on D (train) and, while it trained, on V (validation), the mean of {repeated}",
            plots.training_curves([row for row in part.records if row["member"] in members]),
        ),
        **classification_figures(build(config, splits.development()), outcome),
    }
    finish(outcome, config, env, figures, __doc__, claim=claim)


if __name__ == "__main__":
    launch(run, Config)
