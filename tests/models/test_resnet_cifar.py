import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.models.blocks import BatchNorm
from jaxvision.models.resnet_cifar import BasicBlock, subsample_and_pad
from tests.ops.numerics import assert_close, compiled

KEY = jax.random.key(0, impl="unsafe_rbg")


@functools.cache
def abstract(name, **fields):
    """(parameters, features) of one 32x32 image, as shapes and types."""
    model = models.create(name, **fields)
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(functools.partial(models.initialise, model), KEY, images)
    _, state = jax.eval_shape(functools.partial(model.apply, mutable="intermediates"), variables, images)
    return variables, state["intermediates"]


def only_the_shortcut(x, features, stride, shortcut):
    """A block whose F is zero, its last normalisation having scale 0; and its parameters."""
    block = BasicBlock(features, stride, shortcut, nn.relu, BatchNorm, jnp.float32)

    def run(x):
        variables = block.init(KEY, x, False)
        variables["params"]["bn2"]["scale"] *= 0
        return block.apply(variables, x, False), variables["params"]

    return compiled(run)(x)


def test_sizes_of_figure_3():
    _, features = abstract("resnet20")
    sizes = {name: feature.shape[1:] for name, feature in features.items()}
    assert sizes["conv1"] == sizes["stage1_block3"] == sizes["stage1"] == (32, 32, 16)
    assert sizes["stage2_block1"] == sizes["stage2"] == (16, 16, 32)
    assert sizes["stage3_block1"] == sizes["stage3"] == (8, 8, 64)
    assert len(sizes) == 1 + 9 + 3 + 1


@pytest.mark.parametrize(("shortcut", "count"), [("A", 19_421_274), ("B", 19_424_026)])
def test_parameters_of_1202_layers(shortcut, count):
    """By extrapolation: every three blocks more add the same, and tracing so many layers takes long."""
    count_20, count_32 = (
        models.parameter_count(abstract(name, shortcut=shortcut)[0]) for name in ("resnet20", "resnet32")
    )
    assert models.create("resnet1202").blocks == 200
    assert count_20 + (200 - 3) * (count_32 - count_20) // 2 == count


def test_option_a_takes_every_second_pixel_and_pads_channels():
    x = jnp.arange(18.0).reshape(1, 3, 3, 2)
    padded = subsample_and_pad(x, 2, 5)
    np.testing.assert_array_equal(padded[0, 0], [[0, 0, 1, 0, 0], [0, 4, 5, 0, 0]])
    np.testing.assert_array_equal(padded[0, 1], [[0, 12, 13, 0, 0], [0, 16, 17, 0, 0]])


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_a_block_without_residual_is_the_identity(shortcut):
    x = jnp.abs(jax.random.normal(KEY, (2, 4, 4, 3)))
    np.testing.assert_array_equal(only_the_shortcut(x, 3, 1, shortcut)[0], x)


def test_option_b_projects():
    x = jax.random.normal(KEY, (2, 5, 5, 3))
    block, params = only_the_shortcut(x, 4, 2, "B")
    projected = x[:, ::2, ::2] @ params["conv_shortcut"]["kernel"][0, 0] / np.sqrt(1 + 1e-5)
    assert_close(block, np.maximum(projected, 0))


def test_a_plain_block_has_no_shortcut():
    block, params = only_the_shortcut(jnp.ones((1, 4, 4, 3)), 3, 1, "none")
    assert not block.any()
    assert params.keys() == {"conv1", "bn1", "conv2", "bn2"}


def test_kernels_start_with_variance_2_over_fan_out():
    _, params = only_the_shortcut(jnp.zeros((1, 4, 4, 64)), 64, 1, "A")
    kernel = np.asarray(params["conv2"]["kernel"])
    deviation = np.sqrt(2 / (9 * 64))
    np.testing.assert_allclose(kernel.std(), deviation, rtol=4 / np.sqrt(2 * kernel.size))  # four standard errors
    assert np.abs(kernel).max() > 3 * deviation  # not truncated


def test_an_unknown_shortcut_is_refused():
    with pytest.raises(InputError, match="shortcut: 'C' is unknown, expected A, B or none"):
        abstract("resnet20", shortcut="C")
