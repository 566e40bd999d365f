"""Learning rates: too low and nothing is learnt in time, too high and nothing is learnt at all; and schedules.

Stochastic gradient descent trains one multilayer perceptron on the handwritten digits at learning rates
over eight decades, three seeds each, all in one population on the same minibatches. Members whose loss is no longer
finite stay as they were. Beside them the course's schedules, from one learning rate: step decay, inverse decay,
cosine, warm-up before it, and reduction on a plateau, which goes by the loss. Goodfellow et al. 2016, "Deep
learning", section 11.4.1 and figure 11.1, has the same curve.

  scripts/run experiments.foundations.learning_rates --workdir runs/learning_rates
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_task
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.learning_curves import learning_curves
from jaxvision.training.population import members_of
from jaxvision.training.ranges import PositiveFloat, PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.schedules import constant, cosine, inverse_time, plateau, step_decay, warm_up
from jaxvision.training.study import begin, study_result, train_part


@dataclass(frozen=True)
class Config(TrainConfig):
    """One network at many learning rates."""

    epochs: float = 0.0
    steps: int = 400
    batch_size: int = 32
    learning_rate: float = 0.5
    """That of the schedules."""
    population: int = 3
    shared_batches: bool = True
    steps_per_dispatch: int = 256
    log_every: str = "10 steps"
    eval_every: str = "400 steps"
    checkpoint_every: str = "400 steps"
    rates: tuple[PositiveFloat, ...] = (1e-4, 1e-3, 1e-2, 0.1, 0.3, 0.7, 1.0, 10.0, 1e3, 1e4)
    """Learning rates from low to high."""
    units: PositiveInt = 32
    """Width of both hidden layers."""


def schedules(total_steps):
    quarter, tenth = max(1, total_steps // 4), max(1, total_steps // 10)
    return {
        "constant": constant(),
        "step decay": step_decay(0.3, quarter),
        "inverse decay": inverse_time(10 / total_steps),
        "cosine": cosine(total_steps),
        "warm-up, cosine": warm_up(tenth, cosine(max(1, total_steps - tenth))),
    }


def on_plateau(window_steps):
    return plateau(accumulation_size=window_steps, factor=0.3, patience=3)


def sgd_by_number(factors, reducing):
    """A constructor of gradient descent under schedule number `schedule`; the number after the last reduces."""

    def constructor(learning_rate, schedule):
        def factor(step):
            return jnp.stack([*(jnp.float32(each(step)) for each in factors), 1.0])[schedule.astype(int)]

        def reduce(updates, state, params=None, *, value, **_):
            reduced, state = reducing.update(updates, state, params, value=value)
            return jax.tree.map(partial(jnp.where, schedule == len(factors)), reduced, updates), state

        by_loss = optax.GradientTransformationExtraArgs(reducing.init, reduce)
        return optax.chain(optax.sgd(learning_rate), optax.scale_by_schedule(factor), by_loss)

    return constructor


def build(config, splits):
    total_steps = config.total_steps(len(splits.train))
    factors = schedules(total_steps)
    hyper = {"learning_rate": config.learning_rate, "schedule": 0.0}
    constructor = sgd_by_number(factors.values(), on_plateau(config.in_steps(config.log_every, len(splits.train))))
    return classification_task(
        "mlp",
        {"features": [config.units] * 2, "kernel_init": "he"},
        preprocess=augment.Preprocess(splits.info.image_shape, (0.5,), (0.5,)),
        class_names=splits.info.class_names,
        tx=optax.inject_hyperparams(constructor)(**hyper),
        hyper=hyper,
    )


def plateau_factors(losses):
    """What the plateau's schedule made of the mean losses of its windows."""
    reducing = on_plateau(1)

    def window(state, loss):
        factor, state = reducing.update(jnp.ones(()), state, value=loss)
        return state, factor

    return jax.lax.scan(window, reducing.init(jnp.ones(())), jnp.float32(losses))[1]


def factors_of(total_steps, recorded_steps, plateau_losses):
    """Each schedule's factors by step; that of the plateau goes by the losses that were recorded."""
    every_step = np.arange(total_steps)
    factors = {name: (every_step, jax.vmap(each)(every_step)) for name, each in schedules(total_steps).items()}
    return {**factors, "plateau": (recorded_steps, plateau_factors(plateau_losses))}


def final_losses(part, settings):
    """Medians [settings] over the seeds of the loss after training, infinite where it was no longer finite."""
    losses = np.array([np.inf if i in part.diverged else row["loss"] for i, row in enumerate(part.train)])
    return np.median(np.where(np.isnan(losses), np.inf, losses).reshape(settings, -1), axis=1)


def run(config, env):
    splits = data.load("digits", env.data_dir, fake=env.smoke)
    begin(env)
    task = build(config, splits)
    seeds = members_of(config, task.hyper)
    names = [*schedules(config.total_steps(len(splits.train))), "plateau"]
    settings = [{"learning_rate": rate} for rate in config.rates]
    settings += [{"schedule": number} for number in range(len(names))]
    members = [seed._replace(hyper={**seed.hyper, **setting}) for setting in settings for seed in seeds]
    part = train_part(task, splits, config, env, "all", members=members)

    of_rate, of_schedule = np.split(final_losses(part, len(settings)), [len(config.rates)])
    steps, losses = learning_curves(part.records, "loss", members=len(part.members))
    losses = losses.reshape(len(settings), -1, len(steps))
    curves = [(steps, median) for median in np.median(losses, axis=1)]
    claim = the_best_rate_lies_between(config.rates, of_rate)
    factors = factors_of(part.steps, steps, losses[-1, 0])
    figures = {
        **draw_rates(config, of_rate, curves[: len(config.rates)], part.steps),
        **draw_schedules(config, factors, dict(zip(names, curves[len(config.rates) :]))),
    }
    after = {name: round(float(loss), 4) for name, loss in zip(names, of_schedule)}
    conclude(study_result(env, [part], loss_after_schedules=after), config, env, figures, __doc__, claim=claim)


def the_best_rate_lies_between(rates, losses):
    """The claim, from the loss after training at each rate."""
    best = int(np.argmin(losses))
    return Claim(
        "Between learning rates that are too low and too high lies the best",
        {
            f"{rate:g}": round(float(loss), 4) if np.isfinite(loss) else "diverged"
            for rate, loss in zip(rates, losses)
        },
        "lowest training loss at none of the ends, and at both ends at least twice as high",
        bool(0 < best < len(rates) - 1 and min(losses[0], losses[-1]) >= 2 * losses[best]),
    )


def draw_rates(config, losses, curves, total_steps):
    """Figures of the loss after training at each rate, and on the way there."""
    return {
        "rates": (
            f"Training loss after {total_steps} steps by learning rate, median of {config.population} seeds; a "
            "rate where it was no longer finite has no point",
            plots.lines(
                {"loss": (config.rates, losses)},
                x_label="learning rate",
                y_label="training loss in nats",
                log_x=True,
                log_y=True,
                markers=True,
                title="Too low, good, too high",
            ),
        ),
        "curves": (
            "Training loss at each learning rate; where a line ends the loss was no longer finite",
            plots.lines(
                {f"{rate:g}": curve for rate, curve in zip(config.rates, curves)},
                x_label="step",
                y_label="training loss in nats",
                log_y=True,
                y_limits=(losses.min() / 2, 20),
                title="Loss by learning rate",
            ),
        ),
    }


def draw_schedules(config, factors, curves):
    """Figures of what each schedule makes of the learning rate, and of the loss under it."""
    return {
        "schedules": (
            f"Part of the learning rate {config.learning_rate:g} that each schedule uses; plateau goes by the "
            "loss, here that of the first seed",
            plots.small_multiples(
                {name: {name: each} for name, each in factors.items()}, x_label="step", y_label="factor", columns=3
            ),
        ),
        "schedule_curves": (
            f"Training loss under each schedule from a learning rate of {config.learning_rate:g}",
            plots.lines(
                curves, x_label="step", y_label="training loss in nats", log_y=True, title="Loss by schedule"
            ),
        ),
    }


if __name__ == "__main__":
    launch(run, Config)
