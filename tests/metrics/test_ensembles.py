import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.metrics.ensembles import (
    majority_vote,
    mean_probability,
    monte_carlo,
    mutual_information,
    predictive_entropy,
)
from jaxvision.models.blocks import initialise
from jaxvision.models.mlp import MLP
from tests.ops.numerics import compiled

# Two members on four images: sure and opposed; unsure and agreed; sure and agreed; in between.
PAIR = jnp.array([[[1, 0], [0.5, 0.5], [0, 1], [0.5, 0.5]], [[0, 1], [0.5, 0.5], [0, 1], [0.9, 0.1]]])
KEY = jax.random.key(0)


def coin(key, images):
    """Logits 0, 0 or ln 3, 0 with equal chances: class probabilities 1/2, 1/2 or 3/4, 1/4."""
    heads = jax.random.bernoulli(key, shape=(len(images), 1))
    return jnp.where(heads, jnp.zeros((1, 2)), jnp.log(jnp.array([[3.0, 1.0]])))


def test_uncertainty_by_hand():
    """H(0.7, 0.3) = 0.61086, H(0.9, 0.1) = 0.32508, H(0.5, 0.5) = ln 2 = 0.69315."""
    np.testing.assert_allclose(mean_probability(PAIR), [[0.5, 0.5], [0.5, 0.5], [0, 1], [0.7, 0.3]])
    np.testing.assert_allclose(predictive_entropy(PAIR), [0.69315, 0.69315, 0, 0.61086], atol=1e-5)
    disagreement = 0.61086 - (0.69315 + 0.32508) / 2
    np.testing.assert_allclose(mutual_information(PAIR), [0.69315, 0, 0, disagreement], atol=2e-5)


def test_members_that_agree_know_all_they_can():
    probabilities = jax.nn.softmax(3 * jax.random.normal(KEY, (1, 500, 10)))
    information = compiled(mutual_information)(jnp.repeat(probabilities, 3, axis=0))
    assert information.min() >= 0
    np.testing.assert_allclose(information, 0, atol=1e-6)


@pytest.mark.parametrize(
    ("members", "winner"),
    [
        ([[0.51, 0.49, 0.0], [0.51, 0.49, 0.0], [0.0, 1.0, 0.0]], 0),  # two of three, though the mean prefers 1
        ([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0]], 1),  # a tie, and the mean prefers 1
        ([[0.51, 0.0, 0.49], [0.0, 0.52, 0.48]], 1),  # a tie of 0 and 1; 2 has the largest mean but no vote
        ([[0.75, 0.25, 0.0], [0.25, 0.75, 0.0]], 0),  # a tie in all respects
    ],
)
def test_majority_vote(members, winner):
    probabilities = jnp.array(members)[:, None]
    np.testing.assert_array_equal(majority_vote(probabilities), [winner])
    assert jax.jit(majority_vote)(probabilities).dtype == jnp.int32


def test_monte_carlo_draws_networks():
    """The mean of 4 * 1000 draws of 1/2 or 3/4, which lie 1/8 about 5/8, within four standard errors."""
    probabilities = monte_carlo(coin, KEY, jnp.zeros((4, 1)), samples=1000)
    assert probabilities.shape == (1000, 4, 2)
    np.testing.assert_allclose(np.unique(probabilities), [0.25, 0.5, 0.75], rtol=1e-6)
    assert abs(probabilities[..., 0].mean() - 5 / 8) < 4 / 8 / np.sqrt(4000)


def test_more_samples_begin_with_the_same():
    draw = functools.partial(monte_carlo, coin, KEY, jnp.zeros((50, 1)))
    np.testing.assert_array_equal(draw(samples=5)[:3], draw(samples=3))
    with pytest.raises(InputError, match="0 samples"):
        draw(samples=0)


def test_monte_carlo_dropout():
    images = jax.random.normal(KEY, (3, 4, 4, 1))
    model = MLP((20,), dropout_rate=0.5)
    variables = initialise(model, KEY, images)

    def sampled(model):
        def logits_fn(key, images):
            return model.apply(variables, images, train=True, rngs={"dropout": key})

        return jax.jit(functools.partial(monte_carlo, logits_fn, samples=4))(KEY, images)

    probabilities = sampled(model)
    assert len(np.unique(probabilities, axis=0)) == 4
    assert mutual_information(probabilities).min() > 0
    without = jax.nn.softmax(model.apply(variables, images))
    np.testing.assert_allclose(sampled(model.clone(dropout_rate=0.0)), jnp.stack([without] * 4), rtol=1e-5)
