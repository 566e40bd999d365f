import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.ops.normalization import local_response_norm
from jaxvision.ops.pooling import max_pool
from tests.ops.numerics import assert_close, compiled

KEY = jax.random.key(0, impl="unsafe_rbg")
SMALL = {"features": (8, 8, 8, 8, 8), "hidden": 64, "num_classes": 10}
SHAPES_OF_2012 = {
    "conv1": (55, 55, 96),
    "pool1": (27, 27, 96),
    "conv2": (27, 27, 256),
    "pool2": (13, 13, 256),
    "conv3": (13, 13, 384),
    "conv4": (13, 13, 384),
    "conv5": (13, 13, 256),
    "pool5": (6, 6, 256),
    "fc6": (4096,),
    "fc7": (4096,),
    "logits": (1000,),
}


def shapes(name, size_px, **fields):
    """Shapes of the kernels and of the features of one image."""
    model = models.create(name, **fields)
    images = jax.ShapeDtypeStruct((1, size_px, size_px, 3), jnp.float32)
    variables = jax.eval_shape(functools.partial(models.initialise, model), KEY, images)
    _, state = jax.eval_shape(functools.partial(model.apply, mutable="intermediates"), variables, images)
    kernels = {layer: leaves["kernel"].shape for layer, leaves in variables["params"].items()}
    return kernels, {tap: feature.shape[1:] for tap, feature in state["intermediates"].items()}


@functools.cache
def small(name):
    """Parameters of a small network, and its features without and with dropout."""
    model = models.create(name, **SMALL)
    images = jax.random.normal(KEY, (2, 67, 67, 3))

    def run(key):
        variables = models.initialise(model, key, images)
        apply = functools.partial(model.apply, variables, images, mutable="intermediates")
        features = [apply(train=train, rngs={"dropout": key})[1]["intermediates"] for train in (False, True)]
        return variables["params"], *features

    return jax.tree.map(np.asarray, compiled(run)(KEY))


@pytest.mark.parametrize(("size_px", "padding"), [(227, 0), (224, 2)])
def test_layers_of_the_paper(size_px, padding):
    kernels, features = shapes("alexnet_2012", size_px, padding=padding)
    assert features == SHAPES_OF_2012
    assert kernels["fc6"] == (6 * 6 * 256, 4096)


def test_two_groups_see_half_of_the_features_but_in_conv3():
    kernels, features = shapes("alexnet_2012", 227, groups=2)
    assert features == SHAPES_OF_2012
    assert [kernels[f"conv{n}"][2] for n in range(1, 6)] == [3, 48, 256, 192, 192]


def test_layers_of_the_weight_file():
    _, features = shapes("alexnet", 224)
    widths = {"conv1": 64, "pool1": 64, "conv2": 192, "pool2": 192, "conv3": 384, "conv4": 256}
    assert features == SHAPES_OF_2012 | {tap: (*SHAPES_OF_2012[tap][:2], width) for tap, width in widths.items()}


@pytest.mark.parametrize(("name", "least"), [("alexnet", 63), ("alexnet_2012", 67)])
def test_least_image_size(name, least):
    shapes(name, least, **SMALL)
    with pytest.raises(InputError, match=f"images of shape .* at least {least}"):
        shapes(name, least - 1, **SMALL)


def test_responses_are_normalised_before_the_pool():
    _, features, _ = small("alexnet_2012")
    normalised = local_response_norm(features["conv1"])
    assert np.abs(normalised - features["conv1"]).max() > 0.1 * features["conv1"].max()
    assert_close(features["pool1"], max_pool(normalised, 3, stride=2))


def test_the_weight_file_has_no_normalisation():
    _, features, _ = small("alexnet")
    assert_close(features["pool1"], max_pool(features["conv1"], 3, stride=2))


@pytest.mark.parametrize(("name", "first_changed"), [("alexnet", "fc6"), ("alexnet_2012", "fc7")])
def test_where_dropout_acts(name, first_changed):
    """On the inputs of the hidden layers, or on their outputs."""
    _, exact, dropped = small(name)
    layers = ["pool5", "fc6", "fc7", "logits"]
    changed = [layer for layer in layers if not np.allclose(exact[layer], dropped[layer])]
    assert changed == layers[layers.index(first_changed) :]


def test_the_paper_starts_with_small_kernels_and_ones_as_biases():
    """Section 5."""
    params, _, _ = small("alexnet_2012")
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    for layer, leaves in params.items():
        np.testing.assert_array_equal(leaves["bias"], float(layer in ones))
        kernel = leaves["kernel"]
        np.testing.assert_allclose(kernel.std(), 0.01, rtol=4 / np.sqrt(2 * kernel.size))  # four standard errors


def test_the_weight_file_starts_as_torch_draws_kernels():
    params, _, _ = small("alexnet")
    for layer, leaves in params.items():
        kernel = leaves["kernel"]
        bound = 1 / np.sqrt(kernel[..., 0].size)
        assert 0.98 * bound < np.abs(kernel).max() <= bound, layer
        assert not leaves["bias"].any()
