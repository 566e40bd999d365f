"""Batch normalisation under another light: accuracy falls, and statistics of unlabelled target images restore it.

A multilayer perceptron with batch normalisation learns the handwritten digits. It is evaluated with the
running statistics of training and with population statistics computed after it (Ioffe & Szegedy 2015, "Batch
normalization", algorithm 2), then on digits that are paler, brighter and noisy, then there again with statistics
of other such images, without their labels (Li et al. 2016, "Revisiting batch normalization for practical domain
adaptation"). Layer normalisation (Ba et al. 2016) and group normalisation (Wu & He 2018) have no such statistics.

  scripts/run experiments.foundations.batch_norm --workdir runs/batch_norm
"""

from dataclasses import dataclass
from itertools import islice

import jax
import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.models.blocks import statistics_of_batch
from jaxvision.tasks.classification import classification_task, restore_model
from jaxvision.tasks.together import together
from jaxvision.training.batch_statistics import make_population_statistics
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.evaluate import make_evaluate
from jaxvision.training.ranges import FiniteFloat, NonNegativeFloat, PositiveFloat, PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.schedules import constant, scheduled
from jaxvision.training.study import begin, study_result, train_part

NORMS = ("batch", "layer", "group")


@dataclass(frozen=True)
class Config(TrainConfig):
    """Multilayer perceptrons with normalisations on digits and on digits under another light."""

    epochs: float = 0.0
    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 1e-2
    population: int = 20
    steps_per_dispatch: int = 256
    eval_every: str = "300 steps"
    checkpoint_every: str = "300 steps"
    units: PositiveInt = 64
    """Width of both hidden layers."""
    contrast: PositiveFloat = 0.4
    """Contrast of the target images, that of the digits being 1."""
    brightness: FiniteFloat = 0.5
    """What is added to the target images, on the scale from 0 to 1."""
    noise: NonNegativeFloat = 0.05
    """Standard deviation of the target images' noise, on the same scale."""
    minibatches: PositiveInt = 40
    """Training batches that the statistics of a population are taken from."""


def build(config, splits):
    """The three networks by the name of their normalisation."""

    def task(norm):
        return classification_task(
            "mlp",
            {"features": [config.units] * 2, "norm": norm},
            preprocess=augment.Preprocess(splits.info.image_shape, (0.5,), (0.5,)),
            class_names=splits.info.class_names,
            tx=scheduled(optax.adam, constant(), learning_rate=config.learning_rate),
            hyper={"learning_rate": config.learning_rate},
        )

    return {norm: task(norm) for norm in NORMS}


def under_another_light(dataset, config):
    """The same examples, paler, brighter and noisy."""
    examples = dataset.resident()
    noise = np.random.default_rng(config.seed).normal(scale=config.noise, size=examples["image"].shape)
    images = config.contrast * examples["image"] / 255 + config.brightness + noise
    return data.InMemory(np.round(255 * images.clip(0, 1)).astype(np.uint8), examples["label"])


def make_statistics(task, config, env):
    """`statistics(variables, dataset) -> {"batch_stats": ...}` of all members [P, ...] on random minibatches."""
    model, preprocess = restore_model(task.record)

    def of_batch(variables, batch):
        images = preprocess(batch["image"])
        return jax.vmap(lambda member: statistics_of_batch(model, member, images))(variables)

    estimate = make_population_statistics(of_batch, env.layout)

    def statistics(variables, dataset):
        order = data.TrainingOrder(len(dataset), config.batch_size, config.seed)
        batches = dataset.train_batches(order, 0, env.layout.rows(config.batch_size))
        return estimate(env.layout.place(variables), islice(batches, config.minibatches))

    return statistics


def make_accuracies(task, variables, config, env):
    """`accuracies(dataset, **batch_stats) -> {norm: [P]}`, with the running statistics unless others are given."""
    evaluate = make_evaluate(jax.vmap(task.metrics_fn, in_axes=(0, None)), env.layout, config.eval_batch_size)

    def accuracies(dataset, **batch_stats):
        changed = {collection: {"batch": tree} for collection, tree in batch_stats.items()}
        metrics = evaluate(env.layout.place({**variables, **changed}), dataset)
        return {norm: metrics[f"top1_{norm}"] for norm in NORMS}

    return accuracies


def run(config, env):
    splits = data.load("digits", env.data_dir, fake=env.smoke)
    begin(env)
    tasks = build(config, splits)
    task = together(tasks, tasks["batch"].tx, tasks["batch"].hyper)
    part = train_part(task, splits, config, env, "all")
    source, target = splits.validation, under_another_light(splits.validation, config)
    target_train = under_another_light(splits.train, config)

    variables = part.state.variables
    normalised = {collection: trees["batch"] for collection, trees in variables.items() if "batch" in trees}
    statistics = make_statistics(tasks["batch"], config, env)
    accuracies = make_accuracies(task, variables, config, env)
    top1 = {
        "source": accuracies(source),
        "source, population statistics": accuracies(source, **statistics(normalised, splits.train)),
        "target": accuracies(target),
        "target, re-estimated": accuracies(target, **statistics(normalised, target_train)),
    }
    claim = statistics_of_the_target_restore_accuracy({name: each["batch"] for name, each in top1.items()})
    means = {norm: float(each.mean()) for norm, each in top1["source"].items()}
    result = study_result(env, [part], validation_top1=means)
    conclude(result, config, env, draw(top1, source, target), __doc__, claim=claim)


def statistics_of_the_target_restore_accuracy(top1):
    """The claim, from accuracies with batch normalisation."""
    means = {name: float(each.mean()) for name, each in top1.items()}
    measured = {name: round(mean, 4) for name, mean in means.items()}
    before, after, again = (means[name] for name in ("source", "target", "target, re-estimated"))
    return Claim(
        "Under another light a network with batch normalisation fails, and statistics of unlabelled images in that "
        "light restore most of its accuracy",
        measured,
        "accuracy falls by more than 0.1; at least half of that is recovered; population statistics serve at least "
        "as well as running ones, to 0.005",
        before - after > 0.1
        and again - after >= (before - after) / 2
        and measured["source, population statistics"] >= measured["source"] - 0.005,
    )


def draw(top1, source, target):
    """Figures of accuracies by images and normalisation, and of some of the images."""
    networks = len(top1["source"]["batch"])
    nothing = np.full(networks, np.nan)
    columns = {
        norm: np.stack(
            [
                each[norm] if norm == "batch" or name in ("source", "target") else nothing
                for name, each in top1.items()
            ]
        )
        for norm in NORMS
    }
    some = np.arange(min(10, len(source)))
    return {
        "accuracy": (
            f"Validation accuracy, mean and standard deviation of {networks} networks",
            plots.bars(
                {
                    f"{norm} norm": (each.mean(axis=1), each.std(axis=1, ddof=min(1, each.shape[1] - 1)))
                    for norm, each in columns.items()
                },
                ["digits", "digits,\npopulation statistics", "another light", "another light,\nre-estimated"],
                y_label="validation accuracy",
                y_limits=(0, 1.1),
                title="Normalisations under another light",
            ),
        ),
        "images": (
            "Digits as they are trained on and as they are evaluated on",
            plots.image_rows(
                {"digits": source.gather(some)["image"], "another light": target.gather(some)["image"]}
            ),
        ),
    }


if __name__ == "__main__":
    launch(run, Config)
