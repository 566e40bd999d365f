"""Ten perceptrons on MNIST, each for one digit against all others, and why that is not enough.

Y = f(x W^T + b), f a step: row k of W learns to say +1 to digit k and -1 to the others, by the rule of
experiments/mnist/perceptron.py. The rows know nothing of each other. Of some digits none says +1, of others
several do, and a step gives nothing by which to rank them; the multiperceptron's softmax does
(experiments/mnist/multiperceptron.py).

  scripts/run experiments.mnist.one_versus_all --workdir runs/one_versus_all
"""

from dataclasses import dataclass

import numpy as np

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.tasks.perceptrons import answers, perceptron_task
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.ranges import PositiveInt
from jaxvision.training.run import finish, train


@dataclass(frozen=True)
class Config(TrainConfig):
    """One perceptron for each digit."""

    epochs: float = 1.0
    batch_size: int = 1
    learning_rate: float = 1.0
    steps_per_dispatch: int = 256
    eval_every: str = "0.1 epochs"
    log_every: str = "0.02 epochs"
    shown: PositiveInt = 8
    """Images without an answer, and images with several, to be drawn."""


def build(config, splits):
    return perceptron_task(
        len(splits.info.class_names),
        preprocess=augment.Preprocess(splits.info.image_shape, (0.0,), (1.0,)),
        class_names=splits.info.class_names,
        learning_rate=config.learning_rate,
    )


def percentages(positive, labels, class_names):
    """How many rows say +1, in per cent of each class and of all images [K + 1, K + 1]."""
    groups = [*(labels == label for label in range(len(class_names))), labels >= 0]
    counts = np.array([np.bincount(positive[group], minlength=len(class_names) + 1) for group in groups])
    return 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)


def run(config, env):
    splits = data.load("mnist", env.data_dir, fake=env.smoke)
    task = build(config, splits)
    outcome = train(task, splits, config, env)
    said = answers(task, outcome.state.variables, outcome.test) > 0
    claim = many_digits_have_no_answer_or_several(outcome.result["test"])
    figures = draw(outcome, splits.info, said) | draw_unclear(config, outcome.test, splits.info, said)
    finish(outcome, config, env, figures, __doc__, claim=claim)


def many_digits_have_no_answer_or_several(metrics):
    """The claim, from what was measured on test."""
    shares = {name: metrics[f"error_{name}"] for name in ("none", "several")}
    return Claim(
        "Perceptrons trained one against all leave many digits without an answer or with several",
        {name: round(share, 4) for name, share in shares.items()},
        "none + several > 0.05 of the test digits",
        bool(sum(shares.values()) > 0.05),
    )


def draw(outcome, info, said):
    """Figures of how many rows say +1, of said [N, K] by which do, and of the weights."""
    names, positive = info.class_names, said.sum(1)
    table = percentages(positive, outcome.test.labels, names)
    most = max(2, int(positive.max(initial=0)))
    weights = outcome.state.params["head"]["kernel"].T.reshape(-1, *info.image_shape)
    return {
        "positive_rows": (
            "How many rows say +1 to a test image; only where it is one is there an answer",
            plots.bars(
                {"all digits": (table[-1, : most + 1], None)},
                [f"{number} row{'s' * (number != 1)}" for number in range(most + 1)],
                y_label="% of test images",
                title="Rows that say +1",
            ),
        ),
        "positive_rows_by_digit": (
            "The same for every digit",
            plots.table_heatmap(
                table[:, : most + 1],
                [*names, "all"],
                range(most + 1),
                format="{:.1f}",
                label="rows that say +1: % of test images",
                row_name="digit",
                column_name="number of rows",
            ),
        ),
        "weights": (
            "Weights of each row, each on its own scale",
            plots.image_grid(weights, names, columns=5, diverging=True, scale="each"),
        ),
    }


def draw_unclear(config, test, info, said):
    """A figure of images without an answer and of some with several, where there are any."""
    names, positive = np.array(info.class_names), said.sum(1)
    shown = np.concatenate([np.flatnonzero(group)[: config.shown] for group in (positive == 0, positive > 1)])
    if not len(shown):
        return {}
    titles = [f"a {names[test.labels[i]]}: {' '.join(names[said[i]]) or 'none'}" for i in shown]
    return {
        "unclear": (
            "Test images to which no row says +1, and to which several do: the digit, and what the rows say",
            plots.image_grid(test.gather(shown)["image"], titles, columns=config.shown),
        )
    }


if __name__ == "__main__":
    launch(run, Config)
