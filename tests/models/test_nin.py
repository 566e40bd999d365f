import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.models.nin import MLPConv
from tests.ops.numerics import assert_close, compiled

KEY = jax.random.key(0, impl="unsafe_rbg")


def abstract(size_px, **fields):
    """(parameters, features) of one image, as shapes."""
    model = models.create("nin", **fields)
    images = jax.ShapeDtypeStruct((1, size_px, size_px, 3), jnp.float32)
    variables = jax.eval_shape(functools.partial(models.initialise, model), KEY, images)
    _, state = jax.eval_shape(functools.partial(model.apply, mutable="intermediates"), variables, images)
    parameters = jax.tree.map(lambda leaf: leaf.shape, variables["params"])
    return parameters, {tap: feature.shape[1:] for tap, feature in state["intermediates"].items()}


def test_sizes_on_cifar():
    params, features = abstract(32)
    assert features == {
        "mlpconv1": (32, 32, 96),
        "pool1": (16, 16, 96),
        "mlpconv2": (16, 16, 192),
        "pool2": (8, 8, 192),
        "mlpconv3": (8, 8, 192),
        "logits": (10,),
    }
    assert params["mlpconv1"]["conv"]["kernel"] == (5, 5, 3, 192)
    assert params["mlpconv1"]["cccp1"]["kernel"] == (1, 1, 192, 160)
    assert params["mlpconv1"]["cccp2"]["kernel"] == (1, 1, 160, 96)
    assert params["mlpconv3"]["conv"]["kernel"] == (3, 3, 192, 192)
    assert params["head"]["kernel"] == (192, 10)


def test_it_is_fully_convolutional():
    assert abstract(32)[0] == abstract(47)[0]


def test_logits_are_averages_of_one_map_a_class():
    model = models.create("nin", features=[8] * 8)
    images = jax.random.normal(KEY, (2, 12, 12, 3))

    def run(key):
        variables = models.initialise(model, key, images)
        logits, state = model.apply(variables, images, mutable="intermediates")
        return variables["params"]["head"], logits, state["intermediates"]["mlpconv3"]

    head, logits, features = compiled(run)(KEY)
    maps = features @ head["kernel"] + head["bias"].reshape(1, 1, 1, -1)
    assert maps.shape == (2, 3, 3, 10)
    assert_close(logits, maps.mean((1, 2)))


def test_a_unit_is_a_perceptron_at_every_position():
    unit = MLPConv((4, 3, 2), 1, nn.relu, jnp.float32)
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 6)).astype(np.float32)
    output, variables = compiled(lambda key: unit.init_with_output(key, x))(KEY)
    hidden = x
    for layer in ("conv", "cccp1", "cccp2"):
        hidden = np.maximum(hidden @ np.asarray(variables["params"][layer]["kernel"])[0, 0], 0)
    assert_close(output, hidden)


def test_least_image_size():
    abstract(4)
    with pytest.raises(InputError, match=r"images of shape .* at least 4"):
        abstract(3)
