"""Architectures compared: accuracy, multiply-adds, parameters, measured speed and memory.

The figure is that of Canziani, Paszke & Culurciello 2016, "An analysis of deep neural network models
for practical applications", figure 2. Accuracies are the published ones of the weight files everybody has (of
MobileNet v1, the paper's); everything else is counted or measured here.

  scripts/run experiments.imagenet.compare --workdir runs/compare
"""

import time
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import models, plots
from jaxvision.errors import InputError
from jaxvision.launch import launch
from jaxvision.training.claim import Claim
from jaxvision.training.config import RunConfig
from jaxvision.training.progress import ProgressBar
from jaxvision.training.ranges import PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.study import begin, study_result

TOP1 = {
    "alexnet": 56.52,
    "vgg11": 69.02,
    "vgg16": 71.59,
    "vgg19": 72.38,
    "vgg16_bn": 73.36,
    "googlenet": 69.78,
    "resnet18": 69.76,
    "resnet34": 73.31,
    "resnet50": 76.13,
    "resnet101": 77.37,
    "resnet152": 78.31,
    "mobilenet_v1": 70.9,
    "mobilenet_v2": 71.88,
    "vit_b_16": 81.07,
    "vit_b_32": 75.91,
}
SMOKE = ("resnet18", "mobilenet_v2")


@dataclass(frozen=True)
class Config(RunConfig):
    """Models with published accuracies."""

    batch_size: PositiveInt = 1
    """Images at a time."""
    models: tuple[str, ...] = tuple(TOP1)
    """Which of them."""
    image_size_px: PositiveInt = 224
    """Height and width of the images."""
    repeats: PositiveInt = 5
    """Times each is measured; the median counts."""


def compiled(name, config):
    """The model's answer to a batch as a compiled program, and its arguments."""
    model = models.create(name)
    images = jnp.zeros((config.batch_size, config.image_size_px, config.image_size_px, 3))
    variables = models.initialise(model, jax.random.key(config.seed), images)
    program = jax.jit(partial(model.apply, train=False)).lower(variables, images).compile()
    return program, (variables, images)


def measured(name, config):
    """The row of one model."""
    program, arguments = compiled(name, config)
    seconds = []
    for _ in range(config.repeats + 1):  # the first one warms up
        started = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        seconds.append(time.perf_counter() - started)
    memory = program.memory_analysis()
    used = memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes
    summary = models.summary(name, config.image_size_px)
    return {
        "published top-1 %": TOP1[name],
        "G multiply-adds": round(summary.multiply_adds / 1e9, 3),
        "M parameters": round(summary.parameters / 1e6, 3),
        "images/s": round(config.batch_size / float(np.median(seconds[1:])), 2),
        "MiB of memory": round(used / 2**20, 1),
    }


def run(config, env):
    if not config.models:
        raise InputError("--models: expected one model or more")
    if unknown := [name for name in config.models if name not in TOP1]:
        raise InputError(f"--models {' '.join(unknown)}: expected some of {', '.join(TOP1)}")
    if env.smoke:
        config = replace(config, models=SMOKE, image_size_px=32, repeats=1)
    begin(env)
    rows, started = {}, time.perf_counter()
    with ProgressBar(len(config.models), 0) as progress:
        for done, name in enumerate(config.models, start=1):
            rows[name] = measured(name, config)
            progress.update(done)
            progress.say(f"{name}: {'  '.join(f'{value} {unit}' for unit, value in rows[name].items())}")
    columns = {column: np.array([row[column] for row in rows.values()]) for column in next(iter(rows.values()))}
    result = study_result(env, [], models=rows) | {"seconds": round(time.perf_counter() - started, 3)}
    conclude(result, config, env, draw(config, rows, columns), __doc__, claim=fewer_does_not_mean_faster(rows))


def fewer_does_not_mean_faster(rows):
    """The claim, from every pair of models."""
    adds, speed = (np.array([row[column] for row in rows.values()]) for column in ("G multiply-adds", "images/s"))
    wrong = (adds[:, None] < adds[None, :]) & (speed[:, None] < speed[None, :])
    pairs = len(rows) * (len(rows) - 1) // 2
    return Claim(
        "Of two models the one with fewer multiply-adds may be the slower one",
        {"pairs": pairs, "the one with fewer is slower": int(wrong.sum())},
        "in at least one pair",
        bool(wrong.any()),
    )


def draw(config, rows, columns):
    """The table and two figures of bubbles."""
    size_px = f"{config.image_size_px}x{config.image_size_px}"
    batch = f"{config.batch_size} image{'s' * (config.batch_size > 1)} of {size_px} at a time"
    accuracy, size = columns["published top-1 %"], columns["M parameters"]
    bubbles = partial(
        plots.bubbles,
        list(rows),
        y_label="published top-1 accuracy (%)",
        size_label=f"area: parameters, the largest {size.max():.0f} M",
        log_x=True,
    )
    return {
        "table": (
            f"Every model, {batch}; each column shaded from its smallest to its largest number",
            plots.table_heatmap(
                np.stack(list(columns.values()), axis=1),
                list(rows),
                list(columns),
                format="{:,.4g}",
                by_column=True,
            ),
        ),
        "multiply_adds": (
            f"Accuracy against multiply-adds for an image of {size_px}, the area being parameters",
            bubbles(columns["G multiply-adds"], accuracy, size, x_label="multiply-adds in thousand millions"),
        ),
        "speed": (
            f"Accuracy against measured speed, {batch}, the area being parameters",
            bubbles(columns["images/s"], accuracy, size, x_label="images a second"),
        ),
    }


if __name__ == "__main__":
    launch(run, Config)
