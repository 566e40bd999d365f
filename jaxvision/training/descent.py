"""The path an optimiser takes over a function that can be drawn, and two such functions."""

import jax
import jax.numpy as jnp
import optax


def descend(function, tx: optax.GradientTransformation, start: jax.Array, *, steps: int) -> jax.Array:
    """The points an optimiser passes through, [steps + 1, ...] from `start` [...] on.

    `function` maps a point to the scalar to be made small. Pure: `jax.vmap(lambda learning_rate: descend(f,
    optax.sgd(learning_rate), ...))` compares learning rates that are too low, good and too high.
    """
    tx = optax.with_extra_args_support(tx)

    def step(carry, _):
        point, opt_state = carry
        value, gradient = jax.value_and_grad(function)(point)
        updates, opt_state = tx.update(gradient, opt_state, point, value=value)
        point = optax.apply_updates(point, updates)
        return (point, opt_state), point

    _, path = jax.lax.scan(step, (start, tx.init(start)), length=steps)
    return jnp.concatenate([start[None], path])


def parabola(x: jax.Array) -> jax.Array:
    """x^2 - 5 x + 2, least at 2.5, where it is -4.25. Gradient descent diverges from a learning rate of 1 on."""
    return x**2 - 5 * x + 2


def valley(point: jax.Array, *, steepness: float = 20.0) -> jax.Array:
    """(x^2 + steepness y^2) / 2 at [..., 2] -> [...], least at (0, 0), where it is 0.

    At learning rates in (1, 2) / steepness gradient descent crosses the floor of the valley with every step and
    zig-zags along it; beyond 2 / steepness it diverges.
    """
    x, y = point[..., 0], point[..., 1]
    return (x**2 + steepness * y**2) / 2
