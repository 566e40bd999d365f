"""What batch normalisation divides by after training: statistics of the population, over many minibatches."""

import jax
import jax.numpy as jnp

from jaxvision.batch_axis import sum_over_batch
from jaxvision.errors import InputError
from jaxvision.parallel.multihost import fetch
from jaxvision.training.evaluate import merged


def make_population_statistics(statistics_fn, layout):
    """`population_statistics(variables, batches) -> statistics`, compiled once for all batches of one shape.

    Ioffe and Szegedy (2015), algorithm 2, lines 7 to 12: the mean of the minibatches' means, and the mean of their
    unbiased variances, m / (m - 1) times the biased ones. Each batch counts by its examples, so the last one may be
    short. Batches of a shifted distribution give its statistics: adaptive batch normalisation (Li et al. 2016,
    "Revisiting batch normalization for practical domain adaptation"; Schneider et al. 2020).

    Give batches of random examples: the variance leaves out how far the means of batches lie apart, which is much
    where each of them shows one class.

    Args:
      statistics_fn: `statistics_fn(variables, batch) -> tree` of means over the whole batch, of which every device
        sees its part, without the rows where `batch["mask"]`, if there is one, is 0. For any model of ours
        `models.blocks.statistics_of_batch`, whose tree takes the place of the running "batch_stats".
      layout: a layout of `parallel`.

    Returns:
      A function of variables on the devices and an iterable of host batches, dictionaries with "image" and perhaps
      "mask". It returns numpy arrays, and raises InputError for batches without any example.
    """

    def weigh(variables, batch):
        examples = jnp.sum(batch.get("mask", jnp.ones(len(batch["image"]))))
        statistics = statistics_fn(variables, batch)
        return sum_over_batch((jax.tree.map(lambda mean: mean * examples, statistics), examples))

    weigh = layout.bind(weigh, in_axes=(None, 0))

    def population_statistics(variables, batches):
        total = merged(weigh(variables, layout.place_batch(batch)) for batch in batches)
        sums, examples = (None, 0) if total is None else fetch(total)
        if examples == 0:
            raise InputError("population statistics: no examples, expected at least one")
        return jax.tree.map(lambda leaf: leaf / examples, sums)

    return population_statistics
