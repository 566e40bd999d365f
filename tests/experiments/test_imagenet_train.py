"""The recipes: each model has its own numbers, and what was given wins."""

from dataclasses import fields

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.imagenet.train import AUXILIARY, FIELDS, RECIPES, SMALL, Config, optimiser


@pytest.mark.parametrize("model", RECIPES)
def test_every_model_has_a_whole_recipe(model):
    config = Config(model=model).completed()
    assert None not in {getattr(config, field.name) for field in fields(config)}
    assert model in FIELDS and model in SMALL
    assert set(AUXILIARY) == {"googlenet"}


def test_what_was_given_wins():
    config = Config(model="vit_s_16", learning_rate=0.01, label_smoothing=0.0).completed()
    assert (config.optimizer, config.learning_rate, config.weight_decay) == ("adam", 0.01, 0.1)


def test_resnet_by_hand():
    """Half of a warm-up of one step: 0.4 / 2 times the gradient and the decay of 1e-4, of kernels alone."""
    config = Config(warmup_epochs=1.0).completed()
    tx = optimiser(config, steps=10, steps_per_epoch=1)
    params = {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.full(2, 3.0)}
    gradients = {"kernel": jnp.full((2, 2), 5.0), "bias": jnp.full(2, 5.0)}
    updates, _ = tx.update(gradients, tx.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -0.2 * (5 + 3e-4), rtol=1e-6)
    np.testing.assert_allclose(updates["bias"], -0.2 * 5, rtol=1e-6)


def test_a_long_gradient_of_the_transformer_is_cut():
    """Adam forgets the length of its first gradient, not that of the second beside it."""
    tx = optimiser(Config(model="vit_s_16", warmup_epochs=0.0).completed(), steps=10, steps_per_epoch=1)
    reference = optax.adam(1e-3)
    params = {"bias": jnp.zeros(2)}
    state, expected_state = tx.init(params), reference.init(params)
    for gradient, cut in ((jnp.array([3.0, 4.0]), jnp.array([0.6, 0.8])), (jnp.array([0.1, 0.2]),) * 2):
        updates, state = tx.update({"bias": gradient}, state, params)
        expected, expected_state = reference.update({"bias": cut}, expected_state, params)
    np.testing.assert_allclose(updates["bias"], expected["bias"] * (1 + np.cos(0.1 * np.pi)) / 2, rtol=1e-5)
