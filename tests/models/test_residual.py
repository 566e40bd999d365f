from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.models.blocks import BatchNorm
from jaxvision.models.residual import BasicBlock, Bottleneck, subsample_and_pad
from tests.ops.numerics import assert_close, compiled

KEY = jax.random.key(0, impl="unsafe_rbg")


def applied(block, x):
    """The output of a fresh block, and its parameters."""
    variables = block.init(KEY, x, False)
    return block.apply(variables, x, False), variables["params"]


def block_of(kind, features, stride, shortcut, **fields):
    return kind(features, stride, shortcut, nn.relu, BatchNorm, jnp.float32, **fields)


def only_the_shortcut(x, features, stride, shortcut, kind=BasicBlock, **fields):
    return compiled(partial(applied, block_of(kind, features, stride, shortcut, zero_init=True, **fields)))(x)


def test_option_a_takes_every_second_pixel_and_pads_channels():
    x = jnp.arange(18.0).reshape(1, 3, 3, 2)
    padded = subsample_and_pad(x, 2, 5)
    np.testing.assert_array_equal(padded[0, 0], [[0, 0, 1, 0, 0], [0, 4, 5, 0, 0]])
    np.testing.assert_array_equal(padded[0, 1], [[0, 12, 13, 0, 0], [0, 16, 17, 0, 0]])


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize(("kind", "features"), [(BasicBlock, 8), (Bottleneck, 2)])
def test_a_block_starts_as_the_identity_with_zero_init(shortcut, kind, features):
    x = jnp.abs(jax.random.normal(KEY, (2, 4, 4, 8)))
    np.testing.assert_array_equal(only_the_shortcut(x, features, 1, shortcut, kind)[0], x)


@pytest.mark.parametrize(
    ("kind", "features", "fields", "size"),
    [(BasicBlock, 4, {}, 3), (Bottleneck, 1, {}, 3), (Bottleneck, 1, {"pads": False}, 2)],
    ids=["basic", "bottleneck", "cropped"],
)
def test_option_b_projects(kind, features, fields, size):
    x = jax.random.normal(KEY, (2, 5, 5, 3))
    block, params = only_the_shortcut(x, features, 2, "B", kind, **fields)
    projected = x[:, ::2, ::2] @ params["conv_shortcut"]["kernel"][0, 0] / np.sqrt(1 + 1e-5)
    assert_close(block, np.maximum(projected, 0)[:, :size, :size])


def test_without_padding_the_last_pixels_of_the_shortcut_have_no_partner():
    x = jnp.abs(jax.random.normal(KEY, (2, 6, 7, 8)))
    block, _ = only_the_shortcut(x, 2, 1, "B", Bottleneck, pads=False)
    np.testing.assert_array_equal(block, x[:, :4, :5])


def test_a_plain_block_has_no_shortcut():
    block, params = only_the_shortcut(jnp.ones((1, 4, 4, 3)), 3, 1, "none")
    assert not block.any()
    assert params.keys() == {"conv1", "bn1", "conv2", "bn2"}


def test_a_bottleneck_strides_in_its_3x3():
    """So no pixel is left out, as every second would be by a stride in the 1x1 before."""
    block, x = block_of(Bottleneck, 8, 2, "none"), jax.random.normal(KEY, (4, 4, 4, 8))
    gradient = np.asarray(compiled(jax.grad(lambda x: applied(block, x)[0].sum()))(x))
    assert np.any(gradient, axis=(0, 3)).all()


def test_kernels_start_with_variance_2_over_fan_out():
    _, params = applied(block_of(BasicBlock, 64, 1, "A"), jnp.zeros((1, 4, 4, 64)))
    kernel = np.asarray(params["conv2"]["kernel"])
    deviation = np.sqrt(2 / (9 * 64))
    np.testing.assert_allclose(kernel.std(), deviation, rtol=4 / np.sqrt(2 * kernel.size))  # four standard errors
    assert np.abs(kernel).max() > 3 * deviation  # not truncated


def test_an_unknown_shortcut_is_refused():
    with pytest.raises(InputError, match="shortcut: 'C' is unknown, expected A, B or none"):
        applied(block_of(BasicBlock, 3, 1, "C"), jnp.ones((1, 4, 4, 3)))


def training_with(model, variables, images):
    """Params to the sum of some function of the logits, and the new statistics."""

    def loss(params):
        logits, state = model.apply({**variables, "params": params}, images, train=True, mutable="batch_stats")
        return jnp.sum(jnp.sin(logits)), state

    return loss


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("resnet20", {"blocks": 2}),
        ("resnet18", {"width": 8, "blocks": [3]}),
        ("resnet50", {"width": 8, "blocks": [3]}),
        ("bagnet9", {"width": 8, "blocks": [3]}),
    ],
)
def test_remat_keeps_less_for_the_gradient_and_has_the_same_variables(name, fields):
    model = models.create(name, **fields)
    images = jax.ShapeDtypeStruct((4, 64, 64, 3), jnp.float32)

    def kept(model):
        variables = jax.eval_shape(partial(models.initialise, model), KEY, images)

        def backward(variables, images):
            return jax.vjp(training_with(model, variables, images), variables["params"], has_aux=True)[1]

        return variables, sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(backward, variables, images)))

    (variables, elements), (lean_variables, lean_elements) = kept(model), kept(model.clone(remat=True))
    assert lean_variables == variables
    assert lean_elements < 0.6 * elements


def test_remat_changes_no_gradient():
    model = models.create("resnet50", width=4, blocks=[1], num_classes=10)
    images = jnp.asarray(np.random.default_rng(0).random((4, 16, 16, 3), np.float32))

    @compiled
    def both(images):
        variables = models.initialise(model, KEY, images)
        trainings = [training_with(m, variables, images) for m in (model.clone(remat=True), model)]
        return [jax.grad(training, has_aux=True)(variables["params"]) for training in trainings]

    assert_close(*both(images), 1e-4)
