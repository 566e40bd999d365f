"""Initialisation: zero weights never tell units apart, small ones silence deep layers, He's keep the signal.

A multilayer perceptron of ten hidden layers of rectified linear units starts from zeros, from small
random numbers, from Xavier's and from He's weights. Its activations are shown layer by layer before training, its
loss while it learns the handwritten digits (Glorot & Bengio 2010, figure 6; He et al. 2015, "Delving deep into
rectifiers", section 2.2 and figure 3). From zeros a ReLU network learns the frequencies of the classes and nothing
else; with sigmoids its hidden weights do move, but all units of a layer alike.

  scripts/run experiments.foundations.initialisation --workdir runs/initialisation
"""

from dataclasses import dataclass

import jax
import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_task, restore_model
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.fitting import initial_state
from jaxvision.training.learning_curves import learning_curves
from jaxvision.training.population import members_of
from jaxvision.training.ranges import PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.schedules import constant, scheduled
from jaxvision.training.study import begin, study_result, train_part


@dataclass(frozen=True)
class Config(TrainConfig):
    """Deep multilayer perceptrons from several initial weights."""

    epochs: float = 0.0
    steps: int = 200
    batch_size: int = 32
    learning_rate: float = 1e-3
    population: int = 5
    steps_per_dispatch: int = 256
    log_every: str = "10 steps"
    eval_every: str = "200 steps"
    checkpoint_every: str = "200 steps"
    hidden_layers: PositiveInt = 10
    """Number of hidden layers of the ReLU network; that of sigmoids has two."""
    width: PositiveInt = 64
    """Units in each."""


STARTS = {"zeros": "zeros", "small random": "small_normal", "Xavier": "xavier", "He": "he"}


def build(config, splits, starts, **fields):
    """A task whose members begin as hyper["start"], a number, says."""
    hyper = {"learning_rate": config.learning_rate, "start": 0.0}
    tasks = [
        classification_task(
            "mlp",
            {"kernel_init": start, **fields},
            preprocess=augment.Preprocess(splits.info.image_shape, (0.5,), (0.5,)),
            class_names=splits.info.class_names,
            tx=scheduled(optax.adam, constant(), learning_rate=config.learning_rate),
            hyper=hyper,
        )
        for start in starts
    ]

    def init(key, hyper):
        return jax.lax.switch(hyper["start"].astype(int), [task.init for task in tasks], key, hyper)

    return tasks[0]._replace(init=init)


def largest_difference(params, members=slice(None)):
    """Between the weights and biases of any two units of a hidden layer, over all layers of these members."""
    hidden = [layer for name, layer in params.items() if name != "head"]
    return max(float(np.ptp(weights[members], axis=-1).max()) for layer in hidden for weights in layer.values())


def activations(task, variables, images):
    """What every hidden layer of every member answers, [P, B, units] each."""
    model, preprocess = restore_model(task.record)
    apply = jax.vmap(lambda one: model.apply(one, preprocess(images), mutable="intermediates")[1])
    taps = jax.jit(apply)(variables)["intermediates"]
    return [np.asarray(taps[f"hidden{number}"]) for number in range(1, len(model.features) + 1)]


def shrinkage_of(answers):
    """By what factor activations [S, P, layers, N] of S starts vary less in the last layer than in the first."""
    spreads = answers.std(axis=-1, dtype=np.float64)
    return {
        name: float(f"{np.exp(np.log(each[:, 0] / each[:, -1]).mean()):.3g}")
        for name, each in zip(STARTS, spreads)
        if name != "zeros"
    }


def run(config, env):
    splits = data.load("digits", env.data_dir, fake=env.smoke)
    begin(env)
    task = build(config, splits, STARTS.values(), features=[config.width] * config.hidden_layers)
    seeds = members_of(config, task.hyper)
    members = [
        member._replace(hyper={**member.hyper, "start": start}) for start in range(len(STARTS)) for member in seeds
    ]
    images = splits.train.gather(np.arange(min(500, len(splits.train))))["image"]
    answers = activations(task, initial_state(task, members).variables, images)
    answers = np.stack(answers, axis=1).reshape(len(STARTS), len(seeds), config.hidden_layers, -1)
    shrinkage = shrinkage_of(answers)

    part = train_part(task, splits, config, env, "relu", members=members)
    sigmoids = build(config, splits, ["zeros"], features=[config.width] * 2, act="sigmoid")
    zeros = train_part(sigmoids, splits, config, env, "sigmoid_zeros")
    of_start = {name: slice(len(seeds) * start, len(seeds) * (start + 1)) for start, name in enumerate(STARTS)}
    differences = {
        "zeros": largest_difference(part.state.params, of_start["zeros"]),
        "zeros, sigmoid": largest_difference(zeros.state.params),
        "He": largest_difference(part.state.params, of_start["He"]),
    }
    moved = float(np.abs(zeros.state.params["hidden1"]["kernel"]).max())
    claim = zeros_leave_units_alike_and_he_keeps_the_signal(differences, moved, shrinkage)
    steps, losses = learning_curves(part.records, "loss", members=len(part.members))
    figures = draw(answers, len(images), steps, {name: losses[rows] for name, rows in of_start.items()})
    conclude(study_result(env, [part, zeros]), config, env, figures, __doc__, claim=claim)


def zeros_leave_units_alike_and_he_keeps_the_signal(differences, moved, shrinkage):
    """The claim, from what each start made of the units, how far sigmoids moved from zeros, and the signal."""
    return Claim(
        "Zero weights leave all units of a layer alike however they are trained; through ten layers small random "
        "weights lose the signal and He's keep it",
        {"difference_between_units": differences, "zeros_sigmoid_moved": round(moved, 4), "shrinkage": shrinkage},
        "differences from zeros exactly 0 though weights moved, not from He; deviation of the first hidden layer "
        "over that of the last: above 1000 for small random, from 1/3 to 3 for He",
        differences["zeros"] == differences["zeros, sigmoid"] == 0 < min(moved, differences["He"])
        and shrinkage["small random"] > 1000
        and 1 / 3 <= shrinkage["He"] <= 3,
    )


def draw(answers, images, steps, losses):
    """Figures of the answers to so many images before training, and of losses [P, T] by start."""
    return {
        "activations": (
            f"Activations of {images} digits before training, first seed",
            plots.histograms_by_layer({name: each[0] for name, each in zip(STARTS, answers)}),
        ),
        "training": (
            f"Loss while training, mean and standard deviation of {answers.shape[1]} seeds",
            plots.lines(
                {name: (steps, each.mean(axis=0), each.std(axis=0)) for name, each in losses.items()},
                x_label="step",
                y_label="training loss in nats",
                title="Training from each initialisation",
            ),
        ),
    }


if __name__ == "__main__":
    launch(run, Config)
