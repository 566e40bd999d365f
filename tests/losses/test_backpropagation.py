import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.losses import mlp_gradients, multiperceptron_gradients, softmax_cross_entropy, squared_error
from tests.ops.numerics import assert_close, compiled

BATCH, INPUTS, HIDDEN, CLASSES = 7, 5, 4, 3
LOSSES = {"cross_entropy": softmax_cross_entropy, "squared": squared_error}
both_losses = pytest.mark.parametrize("loss", LOSSES)


def draw(seed):
    """Layers (hidden, output, one that does without hidden), x and targets that are distributions."""
    rng = np.random.default_rng(seed)
    layers = [
        (rng.normal(size=(outputs, inputs)), rng.normal(size=outputs))
        for outputs, inputs in [(HIDDEN, INPUTS), (CLASSES, HIDDEN), (CLASSES, INPUTS)]
    ]
    return layers, rng.normal(size=(BATCH, INPUTS)), rng.dirichlet(np.ones(CLASSES), BATCH)


@both_losses
def test_a_multiperceptrons_gradients_are_autodiffs(loss):
    def mean_loss(layer, x, targets):
        weights, bias = layer
        return LOSSES[loss](jnp.tanh(x @ weights.T + bias.reshape(1, -1)), targets).mean()

    @compiled
    def both(layer, x, targets):
        ours = multiperceptron_gradients(*layer, x, targets, loss=loss)
        return ours, jax.value_and_grad(mean_loss)(layer, x, targets)

    with jax.enable_x64(True):
        for seed in range(10):
            (_, _, layer), x, targets = draw(seed)
            assert_close(*both(layer, x, targets), 1e-12)


@both_losses
def test_an_mlps_gradients_are_autodiffs(loss):
    def mean_loss(layers, x, targets):
        (u, c), (w, b) = layers
        features = jnp.tanh(x @ u.T + c.reshape(1, -1))
        return LOSSES[loss](features @ w.T + b.reshape(1, -1), targets).mean()

    @compiled
    def both(layers, x, targets):
        ours = mlp_gradients(*layers, x, targets, loss=loss)
        return ours, jax.value_and_grad(mean_loss)(layers, x, targets)

    with jax.enable_x64(True):
        for seed in range(10):
            (*layers, _), x, targets = draw(seed)
            assert_close(*both(tuple(layers), x, targets), 1e-12)


def test_by_hand():
    """One input, one class: y = tanh(w x + b) = 3/5 at w x + b = ln 2, so dE/dw = 2 (3/5 - 1) (1 - 9/25) x."""
    value, (at_weights, at_bias) = multiperceptron_gradients(
        jnp.array([[np.log(2) / 2]]), jnp.zeros(1), jnp.array([[2.0]]), jnp.array([[1.0]]), loss="squared"
    )
    np.testing.assert_allclose(value, 4 / 25, rtol=1e-6)
    np.testing.assert_allclose(at_bias, [-64 / 125], rtol=1e-6)
    np.testing.assert_allclose(at_weights, [[-128 / 125]], rtol=1e-6)


def test_they_are_the_gradients_of_our_models():
    """A model's kernel is the transpose of the course's W."""
    ((u, c), (w, b), (weights, bias)), x, targets = jax.tree.map(jnp.float32, draw(0))
    images = x.reshape(BATCH, 1, INPUTS, 1)

    def gradient_of(model, params):
        def mean_loss(params):
            return softmax_cross_entropy(model.apply({"params": params}, images), targets).mean()

        return compiled(jax.grad(mean_loss))(params)

    def as_params(layer):
        return {"kernel": layer[0].T, "bias": layer[1]}

    multiperceptron = models.create("multiperceptron", num_classes=CLASSES)
    _, ours = multiperceptron_gradients(weights, bias, x, targets)
    reference = gradient_of(multiperceptron, {"head": as_params((weights, bias))})
    assert_close({"head": as_params(ours)}, reference)

    mlp = models.create("mlp", features=[HIDDEN], act="tanh", num_classes=CLASSES)
    _, (at_hidden, at_output) = mlp_gradients((u, c), (w, b), x, targets)
    reference = gradient_of(mlp, {"hidden1": as_params((u, c)), "head": as_params((w, b))})
    assert_close({"hidden1": as_params(at_hidden), "head": as_params(at_output)}, reference)


@both_losses
def test_descending_them_trains(loss):
    """Two examples that a boundary through the origin separates."""
    x, targets = jnp.array([[1.0, 0.5], [-0.5, -1.0]]), jnp.eye(2)
    weights, bias = jnp.zeros((2, 2)), jnp.zeros(2)
    gradients = compiled(functools.partial(multiperceptron_gradients, loss=loss))
    before, _ = gradients(weights, bias, x, targets)
    for _ in range(50):
        after, (at_weights, at_bias) = gradients(weights, bias, x, targets)
        weights, bias = weights - 0.5 * at_weights, bias - 0.5 * at_bias
    assert after < before / 2
    np.testing.assert_array_equal(jnp.argmax(x @ weights.T + bias.reshape(1, -1), axis=1), [0, 1])


def test_bad_input():
    (hidden, output, layer), x, targets = draw(0)
    with pytest.raises(InputError, match="loss: 'hinge' is not one of cross_entropy, squared"):
        multiperceptron_gradients(*layer, x, targets, loss="hinge")
    with pytest.raises(InputError, match=r"targets of shape \[7\], expected \[7, 3\]"):
        mlp_gradients(hidden, output, x, targets[:, 0])
