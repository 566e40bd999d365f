"""Exact evaluation: padded batches, masked examples, merged sums."""

import jax

from jaxvision.batch_axis import sum_over_batch
from jaxvision.metrics import mean, merge
from jaxvision.parallel.multihost import fetch
from jaxvision.training.population import take


def make_evaluate(metrics_fn, layout, batch_size: int):
    """`evaluate(variables, dataset) -> {name: value}`, compiled once for all data sets of one shape.

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

    def evaluate(variables, dataset) -> dict:
        total = None
        for batch in dataset.evaluation_batches(batch_size, layout.rows(batch_size)):
            metrics = evaluate_batch(variables, layout.place_batch(batch))
            total = metrics if total is None else merge(total, metrics)
        return {
            name: mean(metric) if isinstance(metric, tuple) else metric for name, metric in fetch(total).items()
        }

    return evaluate


def make_evaluate_members(metrics_fn, layout, batch_size: int, *, members: int, in_turn: bool):
    """`evaluate(variables, dataset) -> [{name: value}]`, one dictionary a member; variables are [P, ...] of P > 1.

    Args:
      in_turn: whether members are evaluated one after another, see `population.takes_turns`.
    """
    if members > 1 and not in_turn:
        together = make_evaluate(jax.vmap(metrics_fn, in_axes=(0, None)), layout, batch_size)

        def evaluate(variables, dataset):
            metrics = together(variables, dataset)
            return [take(metrics, i) for i in range(members)]

        return evaluate

    alone = make_evaluate(metrics_fn, layout, batch_size)
    if members == 1:
        return lambda variables, dataset: [alone(variables, dataset)]
    return lambda variables, dataset: [alone(take(variables, i), dataset) for i in range(members)]
