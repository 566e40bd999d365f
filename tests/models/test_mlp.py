import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.losses import softmax_cross_entropy
from jaxvision.training.gradient_flow import gradient_norms
from tests.ops.numerics import assert_close, compiled

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles faster than threefry
IMAGES = jax.random.normal(jax.random.key(1), (128, 8, 8, 1))
LABELS = jnp.arange(128) % 10


def gradients_at_initialisation(key, **fields):
    model = models.create("mlp", **fields)
    variables = model.init(key, IMAGES)

    def loss(params):
        logits, _ = model.apply({**variables, "params": params}, IMAGES, train=True, mutable="batch_stats")
        return softmax_cross_entropy(logits, LABELS).mean()

    return jax.grad(loss)(variables["params"])


@pytest.mark.parametrize(
    ("fields", "median", "least", "most"),
    [
        ({"act": "sigmoid", "kernel_init": "xavier"}, 9e5, 1e4, np.inf),
        ({"kernel_init": "he"}, 4.6, 1, 10),
        ({"kernel_init": "he", "norm": "batch"}, 5.3, 1, 10),
        ({"kernel_init": "he", "residual": True}, 14.7, 1, 50),
        ({"act": "sigmoid", "kernel_init": "xavier", "norm": "batch", "residual": True}, 1.1, 1, 10),
    ],
    ids=["sigmoid", "relu", "relu_bn", "relu_residual", "sigmoid_bn_residual"],
)
def test_gradients_vanish_in_deep_sigmoid_networks_only(fields, median, least, most):
    """Largest over smallest norm of the gradient in ten hidden layers, for ten seeds, as measured elsewhere."""

    @compiled
    @jax.vmap
    def norms(key):
        return gradient_norms(gradients_at_initialisation(key, features=[64] * 10, **fields))

    of_hidden_layers = np.asarray(norms(jax.random.split(KEY, 10)))[:, :-1]
    ratios = of_hidden_layers.max(1) / of_hidden_layers.min(1)
    assert median / 1.5 < np.median(ratios) < median * 1.5
    assert ratios.min() >= least and ratios.max() <= most


def test_zeros_never_break_the_symmetry():
    fields = {"features": [8, 8], "kernel_init": "zeros", "act": "tanh"}
    gradients = compiled(functools.partial(gradients_at_initialisation, **fields))(KEY)
    assert gradients["head"].pop("bias").any()
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradients))


def test_a_layer_that_keeps_the_width_adds_its_input():
    model = models.create("mlp", features=[5, 5, 3, 3], num_classes=0, residual=True)
    variables = models.initialise(model, KEY, IMAGES)
    params = jax.device_get(variables["params"])

    def layer(name, x):
        return np.maximum(x @ params[name]["kernel"] + params[name]["bias"], 0)

    x = layer("hidden1", np.asarray(IMAGES).reshape(128, 64))
    x = x + layer("hidden2", x)
    x = layer("hidden3", x)
    assert_close(model.apply(variables, IMAGES), x + layer("hidden4", x))
