"""What one call to the devices does: one step, or as many as fit before something has to happen on the host."""

from collections.abc import Iterator
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.errors import InputError


def make_advance(step, train, *, order, layout, steps_per_dispatch: int = 1):
    """`advance(state, first_step, most) -> (state, metrics, steps)`: at most `most` steps from `first_step` on.

    `advance.check(state)` raises what model, loss and optimiser refuse; the first dispatch goes on from what that
    traced.

    Args:
      step: a per-device train step of `make_train_step`.
      train: a data set: `train_batches(order, start_step, rows)` and `resident()`.
      order: which examples make which batch: `batch(step)`, `batches(start, stop)`, `batch_size`.
      layout: a layout of `parallel`.
      steps_per_dispatch: more than 1 keeps the data set on the devices and runs so many steps in one call.
    """
    if steps_per_dispatch > 1:
        return ResidentAdvance(step, train, order, layout, steps_per_dispatch)
    return StreamingAdvance(step, train, order, layout)


class StreamingAdvance:
    """One step a call, on a batch that the host sends."""

    def __init__(self, step, train, order, layout):
        self.order = order
        self._layout = layout
        self._train = train
        self._dispatch = layout.bind(step, (None, 0, None), donate=donated())
        self._rows = layout.rows(order.batch_size)
        self._next_step = -1
        self._batches: Iterator = iter(())

    def check(self, state) -> None:
        batch = self._train.gather(self.order.batch(0)[self._rows])
        jax.eval_shape(self._dispatch, *self._arguments(state, batch, 0))

    def __call__(self, state, first_step: int, most: int):
        if first_step != self._next_step:
            self._batches = self._train.train_batches(self.order, first_step, self._rows)
        (batch,) = islice(self._batches, 1)
        self._next_step = first_step + 1
        state, metrics = self._dispatch(*self._arguments(state, batch, first_step))
        return state, metrics, 1

    def _arguments(self, state, batch, step: int):
        return state, self._layout.place_batch(batch), np.int32(step)


class ResidentAdvance:
    """Up to `capacity` steps a call, on examples that live on the devices."""

    def __init__(self, step, train, order, layout, capacity: int):
        examples = train.resident()
        if examples is None:
            raise InputError("this data set is too large to live on the devices: give --steps-per-dispatch 1")
        self.order = order
        self._layout = layout
        self._capacity = capacity
        self._examples = layout.place(examples)
        self._rows = layout.rows(order.batch_size)
        self._dispatch = layout.bind(many_steps(step), (None, None, 1, None, None), donate=donated())

    def check(self, state) -> None:
        jax.eval_shape(self._dispatch, *self._arguments(state, 0, 1))

    def __call__(self, state, first_step: int, most: int):
        steps = min(most, self._capacity)
        state, metrics = self._dispatch(*self._arguments(state, first_step, steps))
        return state, metrics, steps

    def _arguments(self, state, first_step: int, steps: int):
        indices = self.order.batches(first_step, first_step + self._capacity)[:, self._rows]
        indices = self._layout.place_batch(indices, axis=1)
        return state, self._examples, indices, np.int32(first_step), np.int32(steps)


def many_steps(step):
    """`dispatch(state, examples, indices, first_step, steps) -> (state, metrics)`: many steps in one call.

    `indices` [capacity, B] name the examples of each batch; the first `steps` rows are used. The count is an
    argument, not a shape: one compilation serves every length. Metrics are summed over the steps.
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


def donated() -> tuple[int, ...]:
    """Which arguments of a dispatch may give their memory to its results: the State.

    Not on a CPU: there a checkpoint being written in the background reads that very memory.
    """
    return () if jax.default_backend() == "cpu" else (0,)
