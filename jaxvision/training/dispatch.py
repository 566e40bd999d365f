"""What one call to the devices does: one step, or as many as fit before something has to happen on the host."""

from collections.abc import Iterator
from functools import partial
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.errors import InputError
from jaxvision.training.population import make_population_step, stack, take


def make_advance(
    step,
    train,
    *,
    order,
    layout,
    steps_per_dispatch: int = 1,
    members: int = 1,
    in_turn: bool = False,
):
    """`advance(state, first_step, most) -> (state, metrics, steps)`: at most `most` steps from `first_step` on.

    `advance.check(state)` raises what model, loss and optimiser refuse; the first dispatch goes on from what that
    traced. `advance.compile(state)` is the compiled dispatch, to be asked for its memory.

    Args:
      step: a per-device train step of `make_train_step`.
      train: a data set: `train_batches(order, start_step, rows)` and `resident()`.
      order: which examples make which batch: `batch(step)`, `batches(start, stop)`, `batch_size`. That of a
        population has positions [P, B], and the orders of its members in `orders`; an ordinary one is shared.
      layout: a layout of `parallel`.
      steps_per_dispatch: more than 1 keeps the data set on the devices and runs so many steps in one call.
      members: more than 1 trains a population, State and metrics [P, ...].
      in_turn: whether its members are trained one after another.
    """
    own_batches = hasattr(order, "orders")
    if members > 1 and not in_turn:
        step = make_population_step(step, shared_batches=not own_batches)
    batch_axis = 1 if own_batches and not in_turn else 0
    if steps_per_dispatch > 1:
        dispatch = ResidentDispatch(step, train, layout, steps_per_dispatch, batch_axis)
        make = partial(ResidentAdvance, dispatch)
    else:
        dispatch = layout.bind(step, (None, batch_axis, None), donate=donated())
        make = partial(StreamingAdvance, dispatch, train, layout, batch_axis)
    if members > 1 and in_turn:
        return InTurn([make(one) for one in (order.orders if own_batches else [order] * members)], order)
    return make(order)


class Advance:
    """What can be told of `first_call(state) -> (function, arguments)`, which every form has, without making it."""

    def check(self, state) -> None:
        function, arguments = self.first_call(state)
        jax.eval_shape(function, *arguments)

    def compile(self, state) -> jax.stages.Compiled:
        function, arguments = self.first_call(state)
        return function.lower(*arguments).compile()


class StreamingAdvance(Advance):
    """One step a call, on a batch that the host sends."""

    def __init__(self, dispatch, train, layout, batch_axis, order):
        self.order = order
        self._dispatch = dispatch
        self._train = train
        self._layout = layout
        self._batch_axis = batch_axis
        self._rows = layout.rows(order.batch_size)
        # On a CPU a step that waits for the one before already holds memory for its intermediate results.
        self._one_at_a_time = jax.default_backend() == "cpu"
        self._next_step = -1
        self._batches: Iterator = iter(())

    def first_call(self, state):
        batch = self._train.gather(self.order.batch(0)[..., self._rows])
        return self._dispatch, self._arguments(state, batch, 0)

    def __call__(self, state, first_step: int, most: int):
        if first_step != self._next_step:
            self._batches = self._train.train_batches(self.order, first_step, self._rows)
        (batch,) = islice(self._batches, 1)
        self._next_step = first_step + 1
        arguments = self._arguments(state, batch, first_step)
        if self._one_at_a_time:
            jax.block_until_ready(state)
        state, metrics = self._dispatch(*arguments)
        return state, metrics, 1

    def _arguments(self, state, batch, step: int):
        return state, self._layout.place_batch(batch, axis=self._batch_axis), np.int32(step)


class ResidentDispatch:
    """Up to `capacity` steps a call, on examples that live on the devices."""

    def __init__(self, step, train, layout, capacity: int, batch_axis: int):
        examples = train.resident()
        if examples is None:
            raise InputError("this data set is too large to live on the devices: give --steps-per-dispatch 1")
        self.capacity = capacity
        self.layout = layout
        self._examples = layout.place(examples)
        self._indices_axis = batch_axis + 1
        self._run = layout.bind(many_steps(step), (None, None, self._indices_axis, None, None), donate=donated())

    def __call__(self, *arguments):
        return self._run(*self._placed(*arguments))

    def call(self, *arguments):
        """What `__call__` would run, and on what."""
        return self._run, self._placed(*arguments)

    def _placed(self, state, indices, first_step: int, steps: int):
        indices = self.layout.place_batch(indices, axis=self._indices_axis)
        return state, self._examples, indices, np.int32(first_step), np.int32(steps)


class ResidentAdvance(Advance):
    """The calls of a `ResidentDispatch` along an order."""

    def __init__(self, dispatch: ResidentDispatch, order):
        self.order = order
        self._dispatch = dispatch
        self._rows = dispatch.layout.rows(order.batch_size)

    def first_call(self, state):
        return self._dispatch.call(state, self._indices(0, 1), 0, 1)

    def __call__(self, state, first_step: int, most: int):
        steps = min(most, self._dispatch.capacity)
        state, metrics = self._dispatch(state, self._indices(first_step, steps), first_step, steps)
        return state, metrics, steps

    def _indices(self, first_step: int, steps: int):
        """Of so many steps; the rest is not used and zero: many epochs of many members take seconds to draw."""
        indices = self.order.batches(first_step, first_step + steps)[..., self._rows]
        unused = np.zeros((self._dispatch.capacity - steps, *indices.shape[1:]), indices.dtype)
        return np.concatenate([indices, unused])


class InTurn(Advance):
    """A population whose members are trained one after another, call by call."""

    def __init__(self, advances: list, order):
        self.order = order
        self._advances = advances

    def first_call(self, state):
        return self._advances[0].first_call(take(state, 0))

    def __call__(self, state, first_step: int, most: int):
        members = [advance(take(state, i), first_step, most) for i, advance in enumerate(self._advances)]
        states, metrics, steps = zip(*members)
        return stack(states), stack(metrics), steps[0]


def many_steps(step):
    """`dispatch(state, examples, indices, first_step, steps) -> (state, metrics)`: many steps in one call.

    `indices` [capacity, B], or [capacity, P, B], name the examples of each batch; the first `steps` rows are
    used. The count is an argument, not a shape: one compilation serves every length. Metrics are summed over the
    steps.
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


def memory_of(compiled: jax.stages.Compiled) -> dict[str, int]:
    """Bytes a compiled program takes on each device, as the compiler plans them."""
    plan = compiled.memory_analysis()
    return {
        "arguments": plan.argument_size_in_bytes,
        "results": plan.output_size_in_bytes,
        "intermediate": plan.temp_size_in_bytes,
        "program": plan.generated_code_size_in_bytes,
    }


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
