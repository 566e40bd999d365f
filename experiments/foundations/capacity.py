"""Capacity: the larger a network, the further its training accuracy runs ahead, until all is learned by heart.

Multilayer perceptrons from 2 to 128 units wide, and from one to three hidden layers deep, learn 200
handwritten digits of which a fifth have a wrong label. Small ones can't learn even the right labels; large ones
learn the wrong ones by heart (Zhang et al. 2017, "Understanding deep learning requires rethinking generalization",
section 2). Once a network can do that, still wider ones get no worse (Belkin et al. 2019, "Reconciling modern
machine learning practice and the bias-variance trade-off"). All are trained together, from five seeds.

  scripts/run experiments.foundations.capacity --workdir runs/capacity
"""

from dataclasses import dataclass, replace

import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_task
from jaxvision.tasks.together import together
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.ranges import Fraction, PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.schedules import cosine, scheduled
from jaxvision.training.study import begin, study_result, train_part


@dataclass(frozen=True)
class Config(TrainConfig):
    """Multilayer perceptrons of several sizes on a few digits."""

    epochs: float = 0.0
    steps: int = 600
    batch_size: int = 50
    learning_rate: float = 5e-3
    population: int = 5
    steps_per_dispatch: int = 256
    eval_every: str = "300 steps"
    checkpoint_every: str = "600 steps"
    eval_batch_size: int = 200
    widths: tuple[PositiveInt, ...] = (2, 8, 32, 128)
    """Numbers of units in a single hidden layer."""
    depths: tuple[PositiveInt, ...] = (1, 2, 3)
    """Numbers of hidden layers of `units_a_layer` each."""
    units_a_layer: PositiveInt = 8
    """Width of the networks that grow in depth."""
    examples: PositiveInt = 200
    """Training images."""
    wrong_labels: Fraction = 0.2
    """Part of the training labels that is replaced by random ones."""


def build(config, splits, sizes):
    optimiser = scheduled(
        optax.adam, cosine(config.total_steps(len(splits.train))), learning_rate=config.learning_rate
    )
    hyper = {"learning_rate": config.learning_rate}
    tasks = {
        name_of(size): classification_task(
            "mlp",
            {"features": size},
            preprocess=augment.Preprocess(splits.info.image_shape, (0.5,), (0.5,)),
            class_names=splits.info.class_names,
            tx=optimiser,
            hyper=hyper,
        )
        for size in sizes
    }
    return together(tasks, optimiser, hyper)


def name_of(size):
    return "_".join(map(str, size))


def run(config, env):
    if env.smoke:
        config = replace(config, examples=min(config.examples, 64))
    digits = data.load("digits", env.data_dir, fake=env.smoke)
    splits = data.few_with_random_labels(digits, config.examples, config.wrong_labels, seed=config.seed)
    begin(env)
    series = {
        "width": [(width,) for width in config.widths],
        "depth": [(config.units_a_layer,) * depth for depth in config.depths],
    }
    distinct = dict.fromkeys(size for sizes in series.values() for size in sizes)
    part = train_part(build(config, splits, distinct), splits, config, env, "all")
    accuracy = {
        name: {
            split: np.array([[row[f"top1_{name_of(size)}"] for row in rows] for size in sizes])
            for split, rows in (("train", part.train), ("validation", part.validation))
        }
        for name, sizes in series.items()
    }
    numbers = {"width": config.widths, "depth": config.depths}
    claim = the_gap_grows_until_all_is_learned_by_heart(numbers, accuracy)
    figures = draw(config, numbers, accuracy)
    means = {
        name: {split: values.mean(1).tolist() for split, values in each.items()} for name, each in accuracy.items()
    }
    conclude(study_result(env, [part], accuracy=means), config, env, figures, __doc__, claim=claim)


def the_gap_grows_until_all_is_learned_by_heart(numbers, accuracy):
    """The claim, from the numbers of units and of layers, and the accuracies [sizes, P] with them."""
    gaps = {name: (each["train"] - each["validation"]).mean(1) for name, each in accuracy.items()}
    by_heart = accuracy["width"]["train"].mean(1) >= 0.98
    growing = gaps["width"][: np.argmax(by_heart) + 1 if by_heart.any() else None]
    return Claim(
        "The gap between training and validation accuracy grows with the number of hidden layers, and with the "
        "number of units until the training labels are learned by heart, the wrong ones too",
        {name: dict(zip(map(str, numbers[name]), gap.round(4).tolist())) for name, gap in gaps.items()},
        "increasing by 0.05 or more in all, with the width up to the first training accuracy of 0.98 or more",
        bool(by_heart.any() and grows(growing) and grows(gaps["depth"])),
    )


def grows(gaps):
    """Whether every gap is larger than the one before, and the last by 0.05 or more than the first."""
    return np.all(np.diff(gaps) > 0) and gaps[-1] - gaps[0] >= 0.05


def draw(config, numbers, accuracy):
    """A figure of accuracies [sizes, P] by the number of units, and one by that of layers."""
    return {
        name: (
            f"Accuracy on the training images, wrong labels included, and on validation images: {caption}; "
            "mean and standard deviation of the seeds",
            plots.lines(
                {split: (numbers[name], values.mean(1), values.std(1)) for split, values in each.items()},
                x_label=label,
                y_label="accuracy",
                log_x=name == "width",
                markers=True,
                title=f"Accuracy: {caption}",
            ),
        )
        for (name, each), label, caption in zip(
            accuracy.items(),
            ("units", "hidden layers"),
            ("one hidden layer", f"hidden layers of {config.units_a_layer} units"),
        )
    }


if __name__ == "__main__":
    launch(run, Config)
