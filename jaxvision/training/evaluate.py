"""Exact evaluation: padded batches, masked examples, merged sums."""

from collections.abc import Iterable

import jax

from jaxvision.batch_axis import sum_over_batch
from jaxvision.metrics import mean, merge
from jaxvision.parallel.multihost import fetch, is_lead
from jaxvision.progress import tracked
from jaxvision.training.population import take


def make_evaluate(metrics_fn, layout, batch_size: int):
    """`evaluate(variables, dataset, announced="") -> {name: value}`, compiled once for all data sets of one shape.

    With `announced`, such as "evaluating on test", batches are counted on the terminal; not for use while another
    bar is shown.

    Args:
      metrics_fn: `metrics_fn(variables, batch) -> {name: (sum, count) or counts}` over the examples that
        `batch["mask"]` marks; a pair becomes a mean, an array of counts is added up.
      layout: a layout of `parallel`.
      batch_size: examples a call, over all devices; rounded up to what they can share.
    """
    batch_size += -batch_size % layout.mesh.devices.size
    evaluate_batch = layout.bind(
        lambda variables, batch: sum_over_batch(metrics_fn(variables, batch)), in_axes=(None, 0)
    )

    def evaluate(variables, dataset, announced: str = "") -> dict:
        batches = dataset.evaluation_batches(batch_size, layout.rows(batch_size))
        if announced and is_lead():
            batches = tracked(batches, announced, -(-len(dataset) // batch_size))
        total = merged(evaluate_batch(variables, layout.place_batch(batch)) for batch in batches)
        return {
            name: mean(metric) if isinstance(metric, tuple) else metric for name, metric in fetch(total).items()
        }

    return evaluate


def merged(parts: Iterable):
    """The metrics of all parts taken together, each part computed when it is asked for; None of no parts."""
    # Of two calls at once on several CPU devices, each may hold a thread that the other's reduction waits for.
    one_at_a_time = jax.default_backend() == "cpu" and jax.device_count() > 1
    total = None
    for part in parts:
        if one_at_a_time:
            jax.block_until_ready(part)
        total = part if total is None else merge(total, part)
    return total


def make_evaluate_members(metrics_fn, layout, batch_size: int, *, members: int, in_turn: bool):
    """`evaluate(variables, dataset, announced="") -> [{name: value}]`, of each member; variables [P, ...] of P > 1.

    Args:
      in_turn: whether members are evaluated one after another, see `population.takes_turns`.
    """
    if members > 1 and not in_turn:
        together = make_evaluate(jax.vmap(metrics_fn, in_axes=(0, None)), layout, batch_size)

        def evaluate(variables, dataset, announced=""):
            metrics = together(variables, dataset, announced)
            return [take(metrics, i) for i in range(members)]

        return evaluate

    alone = make_evaluate(metrics_fn, layout, batch_size)
    if members == 1:
        return lambda variables, dataset, announced="": [alone(variables, dataset, announced)]
    return lambda variables, dataset, announced="": [
        alone(take(variables, i), dataset, announced and f"{announced}, member {i + 1} of {members}")
        for i in range(members)
    ]
