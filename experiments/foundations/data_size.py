"""More data: the gap between training and validation accuracy closes as examples are added.

One multilayer perceptron with a hidden layer learns from 50 to 1,200 handwritten digits, always for as
many steps. It can tell apart all it is shown, whatever that is worth; what it takes to get the rest right is more
examples (Goodfellow et al. 2016, "Deep Learning", figure 5.4). Each size is five seeds with examples of their own;
all sizes are trained at once, as one population.

  scripts/run experiments.foundations.data_size --workdir runs/data_size
"""

from dataclasses import dataclass, replace

import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_task
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.population import members_of
from jaxvision.training.ranges import PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.schedules import cosine, scheduled
from jaxvision.training.study import begin, study_result, train_part


@dataclass(frozen=True)
class Config(TrainConfig):
    """A multilayer perceptron on a few digits and on many."""

    epochs: float = 0.0
    steps: int = 600
    batch_size: int = 50
    learning_rate: float = 5e-3
    population: int = 5
    steps_per_dispatch: int = 256
    eval_every: str = "300 steps"
    checkpoint_every: str = "600 steps"
    eval_batch_size: int = 400
    examples: tuple[PositiveInt, ...] = (50, 100, 200, 400, 1200)
    """Numbers of training images."""
    hidden_units: PositiveInt = 64
    """Width of the hidden layer."""


def build(config, splits):
    return classification_task(
        "mlp",
        {"features": [config.hidden_units]},
        preprocess=augment.Preprocess(splits.info.image_shape, (0.5,), (0.5,)),
        class_names=splits.info.class_names,
        tx=scheduled(optax.adam, cosine(config.total_steps(len(splits.train))), learning_rate=config.learning_rate),
        hyper={"learning_rate": config.learning_rate},
    )


def run(config, env):
    if env.smoke:
        config = replace(config, examples=tuple(sorted({min(size, 64) for size in config.examples})))
    splits = data.load("digits", env.data_dir, fake=env.smoke)
    splits.check_examples(max(config.examples))
    begin(env)
    task = build(config, splits)
    seeds = members_of(config, task.hyper)
    pairs = [(size, member) for size in config.examples for member in seeds]
    unused = [np.random.default_rng(member.seed).permutation(len(splits.train))[size:] for size, member in pairs]
    order = splits.fold_order(config.batch_size, [member.seed for _, member in pairs], unused)
    part = train_part(task, splits, config, env, "all", members=[member for _, member in pairs], order=order)

    train, validation = (
        np.array([row["top1"] for row in rows]).reshape(len(config.examples), -1)
        for rows in (part.train, part.validation)
    )
    claim = the_gap_shrinks(config.examples, train - validation, validation)
    figures = draw(config.examples, train, validation)
    conclude(study_result(env, [part], sizes=claim.measured), config, env, figures, __doc__, claim=claim)


def the_gap_shrinks(examples, gap, validation):
    """The claim, from accuracies [sizes, P] on validation and by how much those on train are above them."""
    measured = {
        str(size): {"gap": round(size_gap, 4), "validation": round(accuracy, 4)}
        for size, size_gap, accuracy in zip(examples, gap.mean(1).tolist(), validation.mean(1).tolist())
    }
    return Claim(
        "The gap between training and validation accuracy shrinks with the number of training examples",
        measured,
        "the gap decreasing and the validation accuracy increasing with every further examples",
        bool(np.all(np.diff(gap.mean(1)) < 0) and np.all(np.diff(validation.mean(1)) > 0)),
    )


def draw(examples, train, validation):
    """Figures of accuracies [sizes, P] and of the gap between them."""
    gap = train - validation
    return {
        "accuracy": (
            "Accuracy on the examples trained on and on others, mean and standard deviation of the seeds",
            plots.lines(
                {
                    name: (examples, values.mean(1), values.std(1))
                    for name, values in {"train": train, "validation": validation}.items()
                },
                x_label="training examples",
                y_label="accuracy",
                log_x=True,
                markers=True,
                title="Accuracy by number of examples",
            ),
        ),
        "gap": (
            "Training less validation accuracy",
            plots.lines(
                {"gap": (examples, gap.mean(1), gap.std(1))},
                x_label="training examples",
                y_label="gap in accuracy",
                log_x=True,
                markers=True,
                title="Training less validation accuracy",
            ),
        ),
    }


if __name__ == "__main__":
    launch(run, Config)
