import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.models.blocks import BatchNorm, Conv, unnormalised
from jaxvision.models.mobilenet import DepthwiseSeparable, InvertedResidual, multiple_of_8
from jaxvision.ops.activations import identity, relu6
from jaxvision.ops.convolution import conv2d
from tests.ops.numerics import assert_close, compiled

KEY = jax.random.key(0, impl="unsafe_rbg")


@functools.cache
def abstract(name, size_px=224, **fields):
    """(variables, features) for one image, as shapes and types."""
    model = models.create(name, **fields)
    images = jax.ShapeDtypeStruct((1, size_px, size_px, 3), jnp.float32)
    variables = jax.eval_shape(functools.partial(models.initialise, model), KEY, images)
    _, state = jax.eval_shape(functools.partial(model.apply, mutable="intermediates"), variables, images)
    return variables, state["intermediates"]


def multiply_adds(size_px, **fields):
    """Of version 1 for one image: a number of the kernel is used once at every place of the output."""
    total = 0

    def count(call, args, kwargs, context):
        nonlocal total
        output = call(*args, **kwargs)
        if context.method_name == "__call__" and isinstance(context.module, (Conv, nn.Dense)):
            total += context.module.get_variable("params", "kernel").size * math.prod(output.shape[1:-1])
        return output

    model = models.create("mobilenet_v1", **fields)
    with nn.intercept_methods(count):
        jax.eval_shape(model.init, KEY, jax.ShapeDtypeStruct((1, size_px, size_px, 3), jnp.float32))
    return total


@pytest.mark.parametrize(("width", "millions"), [(1, 568.7), (0.75, 325.4), (0.5, 149.5), (0.25, 41.0)])
def test_multiply_adds_by_width(width, millions):
    assert abs(multiply_adds(224, width=width) / 1e6 - millions) < 0.06


@pytest.mark.parametrize(("size_px", "millions"), [(192, 418), (160, 290), (128, 186)])
def test_multiply_adds_by_resolution(size_px, millions):
    """Table 7, where everything is rounded to a million."""
    assert abs(multiply_adds(size_px) / 1e6 - millions) < 1


def test_the_full_convolution_twin():
    """Table 4: 4866 million multiply-adds, without the classifier's one, and 29.3 million parameters."""
    assert round(multiply_adds(224, full_convolution=True) / 1e6) == 4867
    separable, features = abstract("mobilenet_v1")
    full, twin_features = abstract("mobilenet_v1", full_convolution=True)
    assert features == twin_features
    assert models.parameter_count(full) == 29_294_088
    assert models.parameter_count(separable) == 4_231_976


def test_a_separable_block_is_a_full_convolution_of_low_rank():
    """Without what stands between the two: a kernel [h, w, i, o] that is [h, w, i] times [i, o]."""
    x = jax.random.normal(KEY, (2, 7, 6, 3))
    block = DepthwiseSeparable(4, 2, identity, unnormalised, jnp.float32)
    variables = block.init(KEY, x, False)
    depthwise, pointwise = (variables["params"][name]["conv"]["kernel"] for name in ("depthwise", "pointwise"))
    kernel = jnp.einsum("hwi,io->hwio", depthwise[:, :, 0], pointwise[0, 0])
    assert_close(block.apply(variables, x, False), conv2d(x, kernel, stride=2, padding=1))


@pytest.mark.parametrize(
    ("features", "rounded"),
    [
        (16, 16),
        (24 * 0.75, 24),
        (32 * 0.35, 16),
        (16 * 0.35, 8),
        (12, 16),
        (19.9, 24),
        (1280 * 1.4, 1792),
        (320 * 0.1, 32),
    ],
)
def test_multiples_of_8(features, rounded):
    assert multiple_of_8(features) == rounded


def test_sizes_of_table_2():
    _, features = abstract("mobilenet_v2")
    sizes = {name: feature.shape[1:] for name, feature in features.items() if "block" not in name}
    assert sizes == {
        "conv1": (112, 112, 32),
        "stage1": (112, 112, 16),
        "stage2": (56, 56, 24),
        "stage3": (28, 28, 32),
        "stage4": (14, 14, 64),
        "stage5": (14, 14, 96),
        "stage6": (7, 7, 160),
        "stage7": (7, 7, 320),
        "conv_last": (7, 7, 1280),
        "logits": (1000,),
    }
    assert sum("block" in name for name in features) == 17


@pytest.mark.parametrize(("features", "stride", "kept"), [(3, 1, True), (4, 1, False), (3, 2, False)])
def test_an_inverted_residual_adds_its_input_where_it_can(features, stride, kept):
    """Shown by scale 0 in the last normalisation. Nothing is cut off there: the bottleneck is linear."""
    x = 9 * jax.random.normal(KEY, (2, 4, 4, 3))
    block = InvertedResidual(features, stride, 6, relu6, BatchNorm, jnp.float32)

    @compiled
    def run(x):
        variables = block.init(KEY, x, False)
        shortcut_only = jax.tree.map(lambda leaf: leaf, variables)
        shortcut_only["params"]["project"]["bn"]["scale"] *= 0
        return block.apply(shortcut_only, x, False), block.apply(variables, x, False)

    shortcut, whole = run(x)
    np.testing.assert_array_equal(shortcut, x if kept else np.zeros_like(whole))
    assert (whole - shortcut).min() < 0


def test_version_2_starts_as_torchvisions():
    params = models.initialise(models.create("mobilenet_v2", blocks=(1,)), KEY, jnp.zeros((1, 8, 8, 3)))["params"]
    deviations = {
        "conv1": np.sqrt(2 / (9 * 32)),
        "conv_last": np.sqrt(2 / 1280),
        "stage1_block1": np.sqrt(2 / (9 * 32)),  # 9 weights see a channel, but torch counts all channels
    }
    for name, deviation in deviations.items():
        kernel = np.asarray(params[name].get("depthwise", params[name])["conv"]["kernel"])
        np.testing.assert_allclose(kernel.std(), deviation, rtol=4 / np.sqrt(2 * kernel.size))
    np.testing.assert_allclose(np.std(params["head"]["kernel"]), 0.01, rtol=0.01)


@pytest.mark.parametrize("fields", [{}, {"full_convolution": True}, {"name": "mobilenet_v2"}])
def test_rematerialised_it_is_the_same_network(fields):
    fields = {"name": "mobilenet_v1", "blocks": (1, 1), "width": 0.25, **fields}
    usual, _ = abstract(size_px=16, **fields)
    again, _ = abstract(size_px=16, **fields, remat=True)
    assert usual == again
    model = models.create(**fields, remat=True)
    assert "remat" in str(jax.make_jaxpr(model.apply)(again, jnp.zeros((1, 16, 16, 3))))


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_any_image_size(name):
    _, features = abstract(name, 1)
    assert features["logits"].shape == (1, 1000)


def test_more_stages_than_table_2_has_are_refused():
    with pytest.raises(InputError, match="blocks: of 8 stages, expected at most 7"):
        abstract("mobilenet_v2", 32, blocks=(1,) * 8)
