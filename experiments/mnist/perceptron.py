"""Perceptron on MNIST: a one or a zero?

y = f(w x + b), f a step; after every example that is misclassified, w <- w + x t with t = +1 for a one
and -1 for a zero (Rosenblatt 1958, "The perceptron"). The weights are a picture: every mistake adds or subtracts an
image, so that digits remain visible as in an afterimage, and as mistakes go on the weights grow.

The gradient of the perceptron criterion at a batch of one is that rule, so the one loop of all experiments serves.

  scripts/run experiments.mnist.perceptron --workdir runs/perceptron
"""

from dataclasses import dataclass

import numpy as np

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.parallel.multihost import fetch
from jaxvision.tasks.perceptrons import perceptron_task
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.fitting import make_trainer
from jaxvision.training.population import members_of
from jaxvision.training.ranges import NonNegativeInt
from jaxvision.training.run import finish, train, training_order


@dataclass(frozen=True)
class Config(TrainConfig):
    """A perceptron that tells ones from zeros."""

    epochs: float = 2.0
    batch_size: int = 1
    learning_rate: float = 1.0
    steps_per_dispatch: int = 256
    eval_every: str = "0.25 epochs"
    log_every: str = "0.05 epochs"
    moments: tuple[NonNegativeInt, ...] = (4, 8, 128, 256, 1024, 4096, 8192)
    """Steps after which the weights are drawn, besides the last."""


def build(config, splits):
    return perceptron_task(
        1,
        preprocess=augment.Preprocess(splits.info.image_shape, (0.0,), (1.0,)),
        class_names=splits.info.class_names,
        learning_rate=config.learning_rate,
    )


def weights_over_time(task, splits, config, env, member=0):
    """(examples seen [M], weights [M, H, W, C]): a member is trained once more, alone, and comes out the same."""
    members = members_of(config, task.hyper)
    order = training_order(splits, config, members)
    order = getattr(order, "orders", [order] * len(members))[member]
    trainer = make_trainer(task, splits.train, order, [members[member]], config, env.layout)
    last = config.total_steps(len(splits.train))
    moments = [*(moment for moment in config.moments if moment < last), last]
    state, step, weights = trainer.initial, 0, []
    for moment in moments:
        while step < moment:
            state, _, steps = trainer.advance(state, step, moment - step)
            step += steps
        weights.append(np.reshape(fetch(state.params["head"]["kernel"]), splits.info.image_shape))
    return np.array(moments) * config.batch_size, np.stack(weights)


def run(config, env):
    splits = data.load("mnist", env.data_dir, fake=env.smoke).only(("0", "1"))
    task = build(config, splits)
    outcome = train(task, splits, config, env)
    drawn = outcome.result.get("chosen", [0])[0]  # whose state and numbers on test the outcome holds
    seen, weights = weights_over_time(task, splits, config, env, drawn)
    lengths = np.linalg.norm(weights.reshape(len(weights), -1).astype(np.float64), axis=1)
    top1 = float(outcome.test_metrics["top1"])
    claim = Claim(
        "A perceptron learns to tell handwritten ones from zeros, and its weights grow from mistake to mistake",
        {"top1": round(top1, 4), "lengths": dict(zip(map(str, seen.tolist()), lengths.round(2).tolist()))},
        "top1 >= 0.995 on test; no weights shorter than those before",
        bool(top1 >= 0.995 and np.all(np.diff(lengths) >= 0) and lengths[-1] > lengths[0]),
    )
    titles = [f"{number:,} seen" for number in seen]
    figures = {
        "weights": (
            "Weights after so many examples on one scale: red where ink speaks for a one, blue where for a zero",
            plots.image_grid(weights, titles, columns=4, diverging=True),
        ),
        "afterimages": (
            "The same, each on a scale of its own: afterimages of the digits of the first mistakes",
            plots.image_grid(weights, titles, columns=4, diverging=True, scale="each"),
        ),
        "length": (
            "Length of the weights",
            plots.lines(
                {"weights": (seen, lengths)}, x_label="examples seen", y_label="length", log_x=True, markers=True
            ),
        ),
    }
    finish(outcome, config, env, figures, __doc__, claim=claim)


if __name__ == "__main__":
    launch(run, Config)
