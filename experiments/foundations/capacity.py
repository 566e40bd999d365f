"""Capacity: the wider a network, the further its training accuracy runs ahead, until all is learned by heart.

COURSE A7. Multilayer perceptrons of one to three hidden layers, from 2 to 128 units wide, learn 200 handwritten
digits of which a fifth have a wrong label. Narrow ones can't learn even the right labels; wide ones learn the wrong
ones by heart (Zhang et al. 2017, "Understanding deep learning requires rethinking generalization", section 2). Once
a network can do that, still wider ones get no worse (Belkin et al. 2019, "Reconciling modern machine learning
practice and the bias-variance trade-off"). All sizes are trained together, from five seeds.

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
from jaxvision.training.run import conclude
from jaxvision.training.schedules import cosine, scheduled
from jaxvision.training.study import begin, study_result, train_part


@dataclass(frozen=True)
class Config(TrainConfig):
    """Multilayer perceptrons of several sizes on a few digits."""

    epochs: float = 0.0
    steps: int = 1000
    batch_size: int = 50
    learning_rate: float = 5e-3
    population: int = 5
    steps_per_dispatch: int = 256
    eval_every: str = "500 steps"
    checkpoint_every: str = "1000 steps"
    widths: tuple[int, ...] = (2, 8, 32, 128)
    """Numbers of units in each hidden layer."""
    depths: tuple[int, ...] = (1, 2, 3)
    """Numbers of hidden layers."""
    examples: int = 200
    """Training images."""
    wrong_labels: float = 0.2
    """Part of the training labels that is replaced by random ones."""


def build(config, splits):
    optimiser = scheduled(
        optax.adam, cosine(config.total_steps(len(splits.train))), learning_rate=config.learning_rate
    )
    hyper = {"learning_rate": config.learning_rate}
    tasks = {
        f"{depth}x{width}": classification_task(
            "mlp",
            {"features": [width] * depth},
            preprocess=augment.Preprocess(splits.info.image_shape, (0.5,), (0.5,)),
            class_names=splits.info.class_names,
            tx=optimiser,
            hyper=hyper,
        )
        for depth in config.depths
        for width in config.widths
    }
    return together(tasks, optimiser, hyper)


def few_with_wrong_labels(config, splits):
    """The splits with a part of the training examples, of which some have a random label."""
    few = splits.train.take(np.arange(min(config.examples, len(splits.train))))
    classes = len(splits.info.class_names)
    return replace(
        splits, train=data.with_random_labels(few, config.wrong_labels, classes=classes, seed=config.seed)
    )


def run(config, env):
    splits = few_with_wrong_labels(config, data.load("digits", env.data_dir, fake=env.smoke))
    begin(env)
    part = train_part(build(config, splits), splits, config, env, "all")
    train, validation = (
        np.array(
            [
                [np.mean([row[f"top1_{depth}x{width}"] for row in rows]) for width in config.widths]
                for depth in config.depths
            ]
        )
        for rows in (part.train, part.validation)
    )
    gap = train - validation
    by_heart = train[0] >= 0.99
    growing = gap[0, : np.argmax(by_heart) + 1 if by_heart.any() else None]
    claim = Claim(
        "The gap between training and validation accuracy grows with the width of the hidden layer, until the "
        "training labels are learned by heart, the wrong ones too",
        {
            str(width): {"train": round(float(accuracy), 4), "gap": round(float(width_gap), 4)}
            for width, accuracy, width_gap in zip(config.widths, train[0], gap[0])
        },
        "the gap increasing with width up to the first training accuracy of 0.99 or more, by 0.05 or more in all",
        bool(by_heart.any() and np.all(np.diff(growing) > 0) and growing[-1] - growing[0] >= 0.05),
    )
    figures = {
        "accuracy": (
            "One hidden layer: accuracy on the training images, wrong labels included, and on validation images",
            plots.lines(
                {"train": (config.widths, train[0]), "validation": (config.widths, validation[0])},
                x_label="hidden units",
                y_label="accuracy",
                log_x=True,
                markers=True,
            ),
        ),
        "gap": (
            "Training less validation accuracy",
            plots.table_heatmap(
                gap,
                config.depths,
                config.widths,
                format="{:.2f}",
                label="gap in accuracy",
                row_name="hidden layers",
                column_name="units in each",
            ),
        ),
    }
    result = study_result(env, [part], train_top1=train.tolist(), validation_top1=validation.tolist())
    conclude(result, config, env, figures, __doc__, claim=claim)


if __name__ == "__main__":
    launch(run, Config)
