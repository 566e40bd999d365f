"""Neocognitron: features learned without labels tell digits apart, and a shift by one pixel hurts them less.

Fukushima 1980, "Neocognitron: a self-organizing neural network model for a mechanism of pattern
recognition unaffected by shift in position". Two stages of S-cells and C-cells see every training digit once and
learn by competition which features there are. What their last C-cells say, and the pixels themselves, are then read
out by a linear classifier, ridge regression. Both are tested on digits as they are and shifted by one pixel.

  scripts/run experiments.digits.neocognitron --workdir runs/neocognitron
"""

import time
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import data, plots
from jaxvision.augment import to_float
from jaxvision.errors import InputError
from jaxvision.launch import launch
from jaxvision.models.neocognitron import Stage, learn, respond
from jaxvision.ops.convolution import conv_transpose2d
from jaxvision.training.claim import Claim
from jaxvision.training.config import RunConfig
from jaxvision.training.ranges import NonNegativeInt, PositiveFloat, PositiveInt, flag
from jaxvision.training.run import conclude
from jaxvision.training.state import digest
from jaxvision.training.study import begin, study_result

SHIFTS = {"as they are": (0, 0), "up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


@dataclass(frozen=True)
class Config(RunConfig):
    """A neocognitron on digits, beside a linear classifier of their pixels."""

    planes: tuple[PositiveInt, ...] = (24, 128)
    """Features each stage learns at most."""
    window_px: tuple[PositiveInt, ...] = (3, 3)
    """What an S-cell of each stage sees of the layer below."""
    selectivity: tuple[PositiveFloat, ...] = (4.0, 2.5)
    """How much like what it has learned an S-cell wants to see it: Fukushima's r."""
    rate: tuple[PositiveFloat, ...] = (1.0, 16.0)
    """How fast an S-cell learns: Fukushima's q."""
    column_px: tuple[PositiveInt, ...] = (3, 3)
    """Within what window S-cells of all planes compete."""
    blur_px: tuple[PositiveInt, ...] = (3, 5)
    """What a C-cell sees of a plane of S-cells."""
    stride_px: tuple[PositiveInt, ...] = (1, 2)
    """From one C-cell to the next."""
    penalties: tuple[PositiveFloat, ...] = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    """Ridge penalties to choose from on validation digits, over the mean variance of the features."""
    shift_px: NonNegativeInt = 1
    """How far test digits are shifted."""


class Readout(NamedTuple):
    """Scores of features [N, D] are features @ weights + bias, [N, K]."""

    weights: np.ndarray
    bias: np.ndarray


def stages_of(config):
    numbers = {field: getattr(config, field) for field in Stage._fields}
    if len({len(each) for each in numbers.values()}) > 1:
        flags = ", ".join(f"--{flag(field)} {len(each)}" for field, each in numbers.items())
        raise InputError(f"numbers of stages differ: {flags}; expected as many for each")
    for field in ("window_px", "column_px", "blur_px"):
        if even := [side for side in numbers[field] if side % 2 == 0]:
            raise InputError(f"--{flag(field)} {even[0]}: expected an odd number")
    return tuple(map(Stage, *numbers.values()))


def fit_readout(features, labels, classes, penalty):
    """Ridge regression on one-hot targets; the penalty is over the mean variance of the features [N, D]."""
    targets = np.eye(classes)[labels]
    mean, target_mean = features.mean(0), targets.mean(0)
    scatter = (features - mean).T @ (features - mean)
    scatter += penalty * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    weights = np.linalg.solve(scatter, (features - mean).T @ (targets - target_mean))
    return Readout(weights, target_mean - mean @ weights)


def accuracy(readout, features, labels):
    return float(np.mean((features @ readout.weights + readout.bias).argmax(1) == labels))


def shifted(images, down_px, right_px):
    """Images [N, H, W, C] moved, with zeros moving in."""
    most = max(abs(down_px), abs(right_px))
    rows, columns = (slice(most - px, most - px + size) for px, size in zip((down_px, right_px), images.shape[1:3]))
    return np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))[:, rows, columns]


def pictures(learned, stages):
    """What the planes of each stage look for, [planes, height, width], drawn with what those below look for."""
    below, drawn = jnp.ones((1, 1, 1, 1)), []
    for cells, stride in zip(learned, (1, *(stage.stride_px for stage in stages))):
        scale = jnp.maximum(cells.inhibitory, 1e-6).reshape(1, 1, 1, -1)
        templates = jnp.moveaxis(cells.excitatory / scale, -1, 0)
        below = jnp.moveaxis(conv_transpose2d(templates, below, stride=stride), 0, -1)
        drawn.append(np.moveaxis(below[:, :, 0], -1, 0)[np.asarray(cells.inhibitory) > 0])
    return drawn


def recognised(learned, stages, images):
    """What the last C-cells say about images."""
    return respond(to_float(images), learned, stages)[-1].complex


def seen_by(view, images):
    """What a view, a function of images, makes of N of them: features [N, D]."""
    return np.asarray(view(jnp.asarray(images)), np.float64).reshape(len(images), -1)


def chosen_readout(view, train, validation, classes, penalties):
    """The readout that is best on validation, and its accuracy there."""
    seen, unseen = (seen_by(view, batch["image"]) for batch in (train, validation))
    fitted = [fit_readout(seen, train["label"], classes, penalty) for penalty in penalties]
    scores = [accuracy(readout, unseen, validation["label"]) for readout in fitted]
    return fitted[np.argmax(scores)], max(scores)


def top1_by_shift(view, readout, digits, shift_px):
    moved = {name: shifted(digits["image"], *(shift_px * np.array(by))) for name, by in SHIFTS.items()}
    return {name: accuracy(readout, seen_by(view, images), digits["label"]) for name, images in moved.items()}


def run(config, env):
    splits = data.load("digits", env.data_dir, fake=env.smoke)
    stages, classes = stages_of(config), len(splits.info.class_names)
    begin(env)
    started = time.monotonic()
    order = np.random.default_rng(config.seed).permutation(len(splits.train))
    train, validation = splits.train.gather(order), splits.validation.gather(np.arange(len(splits.validation)))
    learned = jax.block_until_ready(learn(to_float(jnp.asarray(train["image"])), stages))
    seconds = time.monotonic() - started

    views = {"pixels": to_float, "neocognitron": partial(recognised, learned, stages)}
    readouts, watched = {}, {}
    for name, view in views.items():
        readouts[name], watched[name] = chosen_readout(view, train, validation, classes, config.penalties)

    test = splits.open_test(env.workdir.path / "test_opened.json", digest({"cells": learned, "readouts": readouts}))
    digits = test.gather(np.arange(len(test)))
    top1 = {name: top1_by_shift(view, readouts[name], digits, config.shift_px) for name, view in views.items()}
    lost = {name: scores["as they are"] - np.mean(list(scores.values())[1:]) for name, scores in top1.items()}
    claim = a_shift_hurts_features_less(top1, lost)
    figures = draw(config, top1, learned, stages, digits["image"][0])
    result = study_result(
        env,
        [],
        steps=len(stages) * len(order),
        seconds=round(seconds, 3),
        planes=[int(np.sum(cells.inhibitory > 0)) for cells in learned],
        validation={f"top1_{name}": score for name, score in watched.items()},
        test=metrics_on_test(top1, lost),
    )
    conclude(result, config, env, figures, __doc__, claim=claim)


def a_shift_hurts_features_less(top1, lost):
    """The claim, from accuracies by view and shift, and from what each view loses to a shift on average."""
    return Claim(
        "Features learned without labels tell digits apart, and a shift by one pixel hurts them less than pixels",
        {
            "top1": {view: round(scores["as they are"], 4) for view, scores in top1.items()},
            "points lost to a shift": {view: round(float(100 * points), 1) for view, points in lost.items()},
        },
        "neocognitron: top1 >= 0.90 on test, fewer points lost than pixels",
        bool(top1["neocognitron"]["as they are"] >= 0.9 and lost["neocognitron"] < lost["pixels"]),
    )


def metrics_on_test(top1, lost):
    """The accuracies as result.json has them, those of shifted digits as their mean."""
    return {
        f"top1_{view}{kind}": score
        for view, scores in top1.items()
        for kind, score in (("", scores["as they are"]), ("_shifted", scores["as they are"] - lost[view]))
    }


def draw(config, top1, learned, stages, digit):
    """Figures of accuracies by view and shift, of what was learned, and of the responses to a digit."""
    shown = respond(to_float(jnp.asarray(digit[None])), learned, stages)
    return {
        "accuracy": (
            f"Accuracy on test digits as they are and shifted by {config.shift_px} pixel",
            plots.bars(
                {view: (list(scores.values()), None) for view, scores in top1.items()},
                list(SHIFTS),
                y_label="test accuracy",
                y_limits=(0, 1.1),
                title=f"Digits shifted by {config.shift_px} pixel",
            ),
        ),
        **{
            f"templates{number}": (
                f"What the S-cells of stage {number} have learned to look for, in the order they came up",
                plots.image_grid(templates, scale="each"),
            )
            for number, templates in enumerate(pictures(learned, stages), start=1)
        },
        "responses": (
            "Responses to the first test digit",
            plots.responses(
                {
                    f"{kind}{number}": np.asarray(layer[0])
                    for number, responses in enumerate(shown, start=1)
                    for kind, layer in zip("SC", responses)
                },
                digit,
                channels=12,
            ),
        ),
    }


if __name__ == "__main__":
    launch(run, Config)
