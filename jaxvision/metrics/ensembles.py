"""What several networks say about the same images: `probabilities` [M, B, K] of M members or samples."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import entr

from jaxvision.errors import InputError


def monte_carlo(
    logits_fn: Callable[[jax.Array, jax.Array], jax.Array], key: jax.Array, images: jax.Array, *, samples: int
) -> jax.Array:
    """Class probabilities [S, B, K] of networks drawn at random (Gal & Ghahramani 2016, "Dropout as a Bayesian
    approximation", 4).

    `logits_fn(key, images) -> logits [B, K]` is one draw: a network with dropout left on. Sample s has the key
    `fold_in(key, s)`, so that more samples begin with the same ones. Raises InputError for less than one.
    """
    if samples < 1:
        raise InputError(f"monte_carlo: {samples} samples, expected at least 1")

    def sample(number):
        return jax.nn.softmax(logits_fn(jax.random.fold_in(key, number), images))

    return jax.lax.map(sample, jnp.arange(samples))


def mean_probability(probabilities: jax.Array) -> jax.Array:
    """The ensemble's class probabilities [B, K] (Gal & Ghahramani 2016, equation 6)."""
    return jnp.mean(probabilities, axis=0)


def majority_vote(probabilities: jax.Array) -> jax.Array:
    """The class [B] (int32) that most members choose; of several, that with the largest mean probability."""
    classes = probabilities.shape[-1]
    votes = jnp.sum(jax.nn.one_hot(jnp.argmax(probabilities, axis=-1), classes), axis=0)
    winners = votes == jnp.max(votes, axis=-1, keepdims=True)
    return jnp.argmax(jnp.where(winners, mean_probability(probabilities), -1), axis=-1)


def predictive_entropy(probabilities: jax.Array) -> jax.Array:
    """Entropy [B] of the mean probability, in nats from 0 to ln K: all there is of uncertainty."""
    return _entropy(mean_probability(probabilities))


def mutual_information(probabilities: jax.Array) -> jax.Array:
    """Predictive entropy less the members' mean entropy [B], in nats: how much they disagree, 0 if not at all.

    What an example's label would tell about the network (BALD; Houlsby et al. 2011, equation 2); the rest is
    the uncertainty of the label itself.
    """
    information = predictive_entropy(probabilities) - jnp.mean(_entropy(probabilities), axis=0)
    return jnp.maximum(information, 0)


def _entropy(probabilities):
    return jnp.sum(entr(probabilities), axis=-1)
