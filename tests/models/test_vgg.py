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


@functools.cache
def abstract(name, size_px=224, **fields):
    """(variables, features) of one image, as shapes and types."""
    model = models.create(name, **fields)
    images = jax.ShapeDtypeStruct((1, size_px, size_px, 3), jnp.float32)
    variables = jax.eval_shape(functools.partial(models.initialise, model), KEY, images)
    _, state = jax.eval_shape(functools.partial(model.apply, mutable="intermediates"), variables, images)
    return variables, state["intermediates"]


@pytest.mark.parametrize(
    ("name", "layers", "millions"),
    [
        ("vgg11", 11, 133),
        ("vgg11_lrn", 11, 133),
        ("vgg13", 13, 133),
        ("vgg16_c", 16, 134),
        ("vgg16", 16, 138),
        ("vgg19", 19, 144),
    ],
)
def test_tables_1_and_2(name, layers, millions):
    variables, features = abstract(name)
    assert len(variables["params"]) == layers
    assert round(models.parameter_count(variables) / 1e6) == millions
    assert [features[f"stage{n}"].shape[1:] for n in range(1, 6)] == [
        (112, 112, 64),
        (56, 56, 128),
        (28, 28, 256),
        (14, 14, 512),
        (7, 7, 512),
    ]
    assert variables["params"]["fc6"]["kernel"].shape == (7 * 7 * 512, 4096)


def test_network_c_has_three_1x1_convolutions():
    params = abstract("vgg16_c")[0]["params"]
    windows = {layer: leaves["kernel"].shape[:2] for layer, leaves in params.items() if layer.startswith("conv")}
    assert {layer for layer, window in windows.items() if window == (1, 1)} == {"conv3_3", "conv4_3", "conv5_3"}
    assert set(windows.values()) == {(1, 1), (3, 3)}


@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg16", "vgg19"])
def test_batch_normalisation_follows_every_convolution(name):
    plain, normalised = abstract(name)[0], abstract(f"{name}_bn")[0]
    convolutions = {layer for layer in plain["params"] if layer.startswith("conv")}
    assert normalised["batch_stats"].keys() == {layer.replace("conv", "bn") for layer in convolutions}
    assert normalised["params"].keys() == plain["params"].keys() | normalised["batch_stats"].keys()


@functools.cache
def small(name):
    """Parameters of a small network, and its features."""
    model = models.create(name, depths=(2, 1), features=(32, 32), hidden=64)
    images = jax.random.normal(KEY, (2, 8, 8, 3))

    def run(key):
        variables = models.initialise(model, key, images)
        _, state = model.apply(variables, images, mutable="intermediates")
        return variables["params"], state["intermediates"]

    return jax.tree.map(np.asarray, compiled(run)(KEY))


def test_responses_are_normalised_behind_the_first_convolution_only():
    (params, features), (_, unnormalised) = small("vgg11_lrn"), small("vgg11")
    assert_close(features["conv1_1"], unnormalised["conv1_1"])
    kernel, bias = params["conv1_2"]["kernel"], params["conv1_2"]["bias"]
    assert not bias.any()
    scores = jax.lax.conv_general_dilated(
        local_response_norm(features["conv1_1"]), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    assert_close(features["conv1_2"], np.maximum(scores, 0))
    assert_close(features["stage1"], max_pool(features["conv1_2"], 2))


def test_kernels_start_as_in_torchvision():
    params, _ = small("vgg11")
    for layer, leaves in params.items():
        kernel = leaves["kernel"]
        std = np.sqrt(2 / (9 * 32)) if layer.startswith("conv") else 0.01
        np.testing.assert_allclose(kernel.std(), std, rtol=4 / np.sqrt(2 * kernel.size))  # four standard errors
        assert not leaves["bias"].any()


def test_least_image_size():
    small_head = {"hidden": 8, "num_classes": 10}
    abstract("vgg11", size_px=32, **small_head)
    with pytest.raises(InputError, match=r"images of shape .* at least 32"):
        abstract("vgg11", size_px=31, **small_head)


def test_every_stage_has_a_width():
    with pytest.raises(InputError, match="VGG: depths of 2 stages, but features of 5"):
        abstract("vgg11", depths=(1, 1))
