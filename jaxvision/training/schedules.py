"""How the step size moves during training, relative to the learning rate in `hyper`.

A schedule maps the number of the step to a factor in [0, 1]. `plateau` can't: it goes by the loss, so it is a
transformation of the updates, chained behind the optimiser. Numbers out of range raise InputError.
"""

import optax

from jaxvision.errors import InputError


def scheduled(optimizer, schedule: optax.Schedule, **hyper) -> optax.GradientTransformation:
    """An optimiser of optax whose numbers may be varied by `State.hyper`, its updates scaled by a schedule.

    Args:
      optimizer: a constructor such as `optax.adam` or one of `optimizers.OPTIMIZERS`.
      schedule: step -> factor in [0, 1].
      hyper: arguments of the constructor, "learning_rate" among them.
    """
    return optax.chain(optax.inject_hyperparams(optimizer)(**hyper), optax.scale_by_schedule(schedule))


def constant() -> optax.Schedule:
    """1 at every step."""
    return optax.constant_schedule(1.0)


def step_decay(gamma: float, every_steps: int) -> optax.Schedule:
    """gamma^floor(step / every_steps): a fall by the factor `gamma` in (0, 1] every so many steps."""
    if not 0 < gamma <= 1:
        raise InputError(f"gamma {gamma}: expected a number in (0, 1]")
    if every_steps < 1:
        raise InputError(f"every_steps {every_steps}: expected at least 1")
    # optax.exponential_decay(staircase=True) divides in float32: every 41 steps, it first falls at step 42.
    return lambda step: gamma ** (step // every_steps)


def inverse_time(gamma: float, power: float = 1.0) -> optax.Schedule:
    """1 / (1 + gamma step)^power.

    For a power in (1/2, 1] the sum of all factors diverges and that of their squares doesn't, as Robbins and Monro
    1951, "A stochastic approximation method", ask: enough to get anywhere, and to come to rest there.
    """
    if gamma < 0 or power < 0:
        raise InputError(f"gamma {gamma}, power {power}: expected numbers that aren't negative")
    return lambda step: (1 + gamma * step) ** -power


def cosine(total_steps: int) -> optax.Schedule:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, "SGDR", equation 5, one period)."""
    if total_steps < 1:
        raise InputError(f"total_steps {total_steps}: expected at least 1")
    return optax.cosine_decay_schedule(1.0, total_steps)


def warm_up(warmup_steps: int, then: optax.Schedule) -> optax.Schedule:
    """(step + 1) / (warmup_steps + 1) for `warmup_steps` steps, followed by `then` from its own step 0.

    Equal increments as in Goyal et al. 2017, "Accurate, large minibatch SGD", section 2.2. None of the steps is
    lost to a factor of 0.
    """
    if warmup_steps < 0:
        raise InputError(f"warmup_steps {warmup_steps}: expected at least 0")
    rise = optax.linear_schedule(1 / (warmup_steps + 1), 1.0, warmup_steps)
    return optax.join_schedules([rise, then], [warmup_steps])


def plateau(
    *,
    accumulation_size: int,
    factor: float = 0.1,
    patience: int = 10,
    cooldown: int = 0,
    rtol: float = 1e-4,
    min_factor: float = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Scale the updates by `factor` once more whenever the training loss has stopped falling.

    Chain it behind the optimiser: `optax.chain(scheduled(...), plateau(...))`. Its `update` wants the loss of the
    step, `value=loss`.

    Args:
      accumulation_size: steps whose losses are averaged before the average is judged, an epoch for example: the
        loss of one minibatch is too noisy.
      factor: in (0, 1).
      patience: averages in a row that aren't better than the best before the factor is applied.
      cooldown: averages after that during which no patience is lost.
      rtol: an average is better if it is below (1 - rtol) times the best. Meant for losses of at least 0.
      min_factor: the product of factors never falls below it.

    Raises:
      InputError: a number is out of its range.
    """
    if not 0 < factor < 1:
        raise InputError(f"factor {factor}: expected a number between 0 and 1")
    if not 0 < rtol <= 1:
        raise InputError(f"rtol {rtol}: expected a number in (0, 1]")
    if not 0 <= min_factor <= 1:
        raise InputError(f"min_factor {min_factor}: expected a number in [0, 1]")
    for name, steps, least in [
        ("accumulation_size", accumulation_size, 1),
        ("patience", patience, 1),
        ("cooldown", cooldown, 0),
    ]:
        if steps < least:
            raise InputError(f"{name} {steps}: expected at least {least}")
    return optax.contrib.reduce_on_plateau(
        factor, patience, rtol, cooldown=cooldown, accumulation_size=accumulation_size, min_scale=min_factor
    )
