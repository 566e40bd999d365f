"""What one call to the devices does: one step, or as many as fit before something has to happen on the host."""

import jax
import jax.numpy as jnp


def make_single_dispatch(step):
    """`dispatch(state, batch, first_step) -> (state, metrics)`: one step on a batch sent from the host."""

    def dispatch(state, batch, first_step):
        return step(state, batch, first_step)

    return dispatch


def make_resident_dispatch(step):
    """`dispatch(state, examples, indices, first_step, steps) -> (state, metrics)`: many steps in one call.

    The whole data set, `examples`, lives on the devices; `indices` [capacity, B] name the examples of each
    batch and the first `steps` rows are used. The count is an argument, not a shape: one compilation serves
    every length. Metrics are summed over the steps.
    """

    def one(state, examples, indices, expected_step):
        return step(state, jax.tree.map(lambda leaf: leaf[indices], examples), expected_step)

    def dispatch(state, examples, indices, first_step, steps):
        def body(i, carry):
            state, total = carry
            state, metrics = one(state, examples, indices[i], first_step + i)
            return state, add_metrics(total, metrics)

        _, shapes = jax.eval_shape(one, state, examples, indices[0], first_step)
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        nothing["bad_step"] -= 1
        return jax.lax.fori_loop(0, steps, body, (state, nothing))

    return dispatch


def add_metrics(a: dict, b: dict) -> dict:
    """Metrics of two stretches of training as those of both."""
    total = jax.tree.map(lambda x, y: x + y, a, b)
    total["bad_step"] = jnp.maximum(a["bad_step"], b["bad_step"])
    return total
