"""Optimisers: the ways they take down a parabola and along a valley, where gradient descent zig-zags.

Batch gradient descent, momentum in both written forms, Nesterov's form, Adam, AdaGrad, AdaDelta and
RMSProp descend y = x^2 - 5 x + 2 and the valley (x^2 + 20 y^2) / 2 from random places on its sides. Gradient
descent crosses the floor with every step; momentum cancels what goes across and adds up what goes along (Polyak
1964; Sutskever et al. 2013, "On the importance of initialization and momentum", section 2). The two forms of
momentum are one until the learning rate changes: that within the velocity goes on at the old rate for a while.
figures/descent.gif shows four of the ways step by step.

  scripts/run experiments.foundations.optimisers --workdir runs/optimisers
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision import plots
from jaxvision.errors import InputError
from jaxvision.launch import launch
from jaxvision.parallel.multihost import is_lead
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.descent import descend, parabola, valley
from jaxvision.training.optimizers import OPTIMIZERS, adadelta, momentum_gradient, momentum_velocity
from jaxvision.training.ranges import FractionBelowOne, PositiveFloat, PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.schedules import step_decay
from jaxvision.training.study import begin, study_result


@dataclass(frozen=True)
class Config(TrainConfig):
    """Optimisers on functions that can be drawn."""

    epochs: float = 0.0
    steps: int = 120
    learning_rate: float = 0.09
    population: int = 10
    momentum: FractionBelowOne = 0.5
    """Part of the last step that momentum adds to the next."""
    nesterov_rate: PositiveFloat = 0.06
    """Learning rate of Nesterov's form, stable below (2 + 2 momentum) / (1 + 2 momentum) / steepness only."""
    adaptive_rate: PositiveFloat = 0.3
    """Learning rate of Adam, AdaGrad and RMSProp."""
    adadelta_epsilon: PositiveFloat = 1e-2
    """What AdaDelta adds to its averages; its first steps are about as large as the root of it."""
    steepness: PositiveFloat = 20.0
    """Curvature across the valley, that along it being 1."""
    radius: PositiveFloat = 1e-2
    """How near the minimum counts as there."""
    drawn_steps: PositiveInt = 40
    """Steps of each path that are drawn."""
    zigzag_steps: PositiveInt = 20
    """Steps among which the turns of gradient descent are counted."""


FORMS = ("momentum", "momentum, velocity")
LEAST_STEPS = 3  # to turn across the valley, once
SHOWN = ("gradient descent", "momentum", "Nesterov", "Adam")


def optimisers(config):
    rate, adaptive = config.learning_rate, config.adaptive_rate
    return {
        "gradient descent": optax.sgd(rate),
        "momentum": momentum_gradient(rate, config.momentum),
        "momentum, velocity": momentum_velocity(rate, config.momentum),
        "Nesterov": optax.sgd(config.nesterov_rate, config.momentum, nesterov=True),
        "Adam": optax.adam(adaptive),
        "AdaGrad": OPTIMIZERS["adagrad"](adaptive),
        "AdaDelta": adadelta(eps=config.adadelta_epsilon),
        "RMSProp": optax.rmsprop(adaptive),
    }


def with_falling_rate(config):
    """Both forms of momentum, the learning rate divided by ten after ten steps wherever it stands in them."""
    cut = optax.scale_by_schedule(step_decay(0.1, 10))
    return dict(
        zip(
            FORMS,
            (
                optax.chain(momentum_gradient(config.learning_rate / 4, 0.9), cut),
                optax.chain(cut, momentum_velocity(config.learning_rate / 4, 0.9)),
            ),
        )
    )


def steps_to_stay(paths, radius):
    """Steps [P] after which the paths [P, T, 2] never are further than the radius from the origin, T for none."""
    outside = np.linalg.norm(paths, axis=-1) > radius
    last_outside = outside.shape[1] - 1 - np.argmax(outside[:, ::-1], axis=1)
    return np.where(outside.any(axis=1), last_outside + 1, 0)


def turning_share(paths):
    """Part [P] of successive steps that go opposite ways across the valley, of paths [P, T, 2]."""
    directions = np.sign(np.diff(paths[..., 1], axis=1))
    return np.mean(directions[:, 1:] * directions[:, :-1] < 0, axis=1)


def random_starts(config):
    """A point [2] on either side of the valley for every seed."""
    seeds = range(config.seed, config.seed + config.population)
    places = np.stack([np.random.default_rng(seed).uniform([3, 0.6], [4, 1]) for seed in seeds])
    sides = np.stack([np.random.default_rng([seed, 1]).choice([-1, 1], 2) for seed in seeds])
    return jnp.float32(places * sides)


def down_the_valley(tx, config):
    """The paths [P, T, 2] from all starts."""
    function, steps = partial(valley, steepness=config.steepness), config.total_steps(1)
    return np.asarray(jax.jit(jax.vmap(partial(descend, function, tx, steps=steps)))(random_starts(config)))


def run(config, env):
    if config.steps < LEAST_STEPS:
        raise InputError(
            f"--steps {config.steps}: expected at least {LEAST_STEPS}, and no --epochs: functions have no examples"
        )
    begin(env)
    on_curve = {
        name: np.asarray(descend(parabola, tx, jnp.float32(0), steps=min(config.total_steps(1), 30)))
        for name, tx in optimisers(config).items()
    }
    paths = {name: down_the_valley(tx, config) for name, tx in optimisers(config).items()}
    forms = {name: down_the_valley(tx, config)[0, :26] for name, tx in with_falling_rate(config).items()}
    arrived = {name: steps_to_stay(each, config.radius) for name, each in paths.items()}
    claim = momentum_needs_half_the_steps(config, paths, arrived)
    contours = contours_of_the_valley(config)
    figures = draw_parabola(on_curve) | draw_valley(config, contours, paths, forms)
    if is_lead():
        shown = {name: paths[name][0, : config.drawn_steps + 1] for name in SHOWN}
        frames = plots.descent_2d_frames(*contours, shown, every=4)
        plots.animation(frames, env.workdir.path / "figures" / "descent.gif", fps=3)
    findings = {"median_steps": {name: int(np.median(steps)) for name, steps in arrived.items()}}
    conclude(study_result(env, [], **findings), config, env, figures, __doc__, claim=claim)


def momentum_needs_half_the_steps(config, paths, arrived):
    """The claim, from the paths [P, T, 2] and when they arrived [P], by optimiser."""
    ratio = float((arrived["momentum"] / arrived["gradient descent"]).max())
    turns = float(turning_share(paths["gradient descent"][:, : config.zigzag_steps + 1]).min())
    apart = float(np.abs(paths[FORMS[0]] - paths[FORMS[1]]).max())
    return Claim(
        "In a valley gradient descent zig-zags, and momentum, however it is written, needs at most half the steps",
        {"momentum_steps_of_descent": round(ratio, 4), "descent_turns": round(turns, 4), "forms_apart": apart},
        f"worst of {config.population} starts: at most 0.5 of the steps to come within {config.radius} for good, "
        "and more than 0.8 of the first steps turn back across the valley; forms less than 1e-4 apart",
        ratio <= 0.5 and turns > 0.8 and apart < 1e-4,
    )


def contours_of_the_valley(config):
    """(x [W], y [H], heights [H, W])."""
    x, y = np.linspace(-4.3, 4.3, 121), np.linspace(-1.3, 1.3, 81)
    return x, y, np.asarray(valley(jnp.stack(jnp.meshgrid(x, y), axis=-1), steepness=config.steepness))


def draw_parabola(paths):
    """Figures of paths [T]."""
    names = list(paths)
    return {
        "parabola": (
            "Down y = x² - 5x + 2 with one learning rate for all directions",
            plots.descent_1d(parabola, (-1, 6), {name: paths[name] for name in names[:4]}),
        ),
        "parabola_adaptive": (
            "The same with rates that adapt to the gradients",
            plots.descent_1d(parabola, (-1, 6), {name: paths[name] for name in names[4:]}),
        ),
    }


def draw_valley(config, contours, paths, forms):
    """Figures of paths [P, T, 2], and of those of both forms of momentum [T, 2] at a falling rate."""
    names, along = list(paths), f"Along a valley, {config.drawn_steps} steps,"

    def drawn(names, title):
        first = {name: paths[name][0, : config.drawn_steps + 1] for name in names}
        return plots.descent_2d(*contours, first, title=title)

    heights = {name: np.median(valley(each, steepness=config.steepness), axis=0) for name, each in paths.items()}
    return {
        "valley": (f"{along} with one learning rate for all directions", drawn(names[:4], "One learning rate")),
        "valley_adaptive": (
            f"{along} with rates that adapt to the gradients",
            drawn(names[4:], "Rates that adapt"),
        ),
        "momentum_forms": (
            "Both forms of momentum, 0.9, when the learning rate falls to a tenth at step 10 and again at 20",
            plots.descent_2d(*contours, forms, title="A falling learning rate"),
        ),
        "values": (
            f"Height above the minimum by step, median of {config.population} starts. The steps of RMSProp "
            "and, where gradients have vanished, of AdaDelta do not shrink with the gradient",
            plots.lines(
                {name: (np.arange(len(median)), median) for name, median in heights.items()},
                x_label="step",
                y_label="height above the minimum",
                log_y=True,
                y_limits=(1e-9, 20),
                title="Descent of the valley",
            ),
        ),
    }


if __name__ == "__main__":
    launch(run, Config)
