"""How the step size moves during training, relative to the learning rate in `hyper`."""

import optax


def scheduled(optimizer, schedule: optax.Schedule, **hyper) -> optax.GradientTransformation:
    """An optimiser of optax whose numbers may be varied by `State.hyper`, its updates scaled by a schedule.

    Args:
      optimizer: a constructor such as `optax.adam`.
      schedule: step -> factor in [0, 1].
      hyper: arguments of the constructor, "learning_rate" among them.
    """
    return optax.chain(optax.inject_hyperparams(optimizer)(**hyper), optax.scale_by_schedule(schedule))


def cosine(total_steps: int) -> optax.Schedule:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, "SGDR", equation 5, one period)."""
    return optax.cosine_decay_schedule(1.0, total_steps)
