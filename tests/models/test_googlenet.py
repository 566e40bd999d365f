import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.losses import softmax_cross_entropy
from jaxvision.models.blocks import BatchNorm, unnormalised
from jaxvision.models.conv_unit import ConvUnit
from jaxvision.models.googlenet import Inception
from jaxvision.ops.activations import identity
from jaxvision.ops.pooling import max_pool
from tests.ops.numerics import compiled

KEY = jax.random.key(0, impl="unsafe_rbg")
SMALL = {"modules": ("4a", "4d"), "width": 1 / 8, "num_classes": 5}


@functools.cache
def abstract(name, size_px, **fields):
    """(variables, features) for one image, as shapes and types."""
    model = models.create(name, **fields)
    images = jax.ShapeDtypeStruct((1, size_px, size_px, 3), jnp.float32)
    variables = jax.eval_shape(functools.partial(models.initialise, model), KEY, images)
    _, state = jax.eval_shape(functools.partial(model.apply, mutable="intermediates"), variables, images)
    return variables, state["intermediates"]


@pytest.mark.parametrize("name", ["googlenet", "googlenet_paper"])
def test_sizes_of_table_1(name):
    _, features = abstract(name, 224)
    assert {name: feature.shape[1:] for name, feature in features.items()} == {
        "conv1": (112, 112, 64),
        "conv2": (56, 56, 192),
        "inception3a": (28, 28, 256),
        "inception3b": (28, 28, 480),
        "stage3": (28, 28, 480),
        "inception4a": (14, 14, 512),
        "inception4b": (14, 14, 512),
        "inception4c": (14, 14, 512),
        "inception4d": (14, 14, 528),
        "inception4e": (14, 14, 832),
        "stage4": (14, 14, 832),
        "inception5a": (7, 7, 832),
        "inception5b": (7, 7, 1024),
        "stage5": (7, 7, 1024),
        "logits": (1000,),
    }


def test_an_inception_module_is_four_branches():
    """Where every window has only its middle: x, x through two layers, again, and the pool of x."""
    x = jax.random.normal(KEY, (1, 5, 4, 1))
    unit = functools.partial(ConvUnit, act=identity, norm=unnormalised)
    inception = Inception((1, 2, 1, 3, 1, 1), 5, unit)
    params = inception.init(KEY, x, False)["params"]

    def middle(kernel):
        height, width, inputs, features = kernel.shape
        return np.zeros(kernel.shape) + np.eye(inputs, features) * centre(height) * centre(width).swapaxes(0, 1)

    def centre(size):
        return (np.arange(size) == size // 2).reshape(size, 1, 1, 1)

    branches = inception.apply({"params": jax.tree.map(middle, params)}, x, False)
    np.testing.assert_array_equal(branches[..., :3], np.repeat(x, 3, axis=-1))
    np.testing.assert_array_equal(branches[..., 3:], max_pool(x, 3, stride=1, padding=1))


def test_auxiliary_classifiers_are_there_whatever_the_mode():
    variables, features = abstract("googlenet", 224, auxiliary=True)
    assert {"aux1", "aux2"} < variables["params"].keys()
    assert features["aux1_logits"].shape == features["aux2_logits"].shape == (1, 1000)
    without, _ = abstract("googlenet", 224)
    assert models.parameter_count({"params": variables["params"]["aux1"]}) == 3_188_968
    assert models.parameter_count(variables) - models.parameter_count(without) == 6_379_984


def test_an_embedding_has_no_auxiliary_classifiers():
    variables, features = abstract("googlenet", 64, auxiliary=True, num_classes=0)
    assert not {"aux1", "aux2", "head"} & variables["params"].keys()
    assert not {"aux1_logits", "aux2_logits", "logits"} & features.keys()


@functools.cache
def with_auxiliaries():
    """A small model, four images and its variables for them."""
    model = models.create("googlenet", **SMALL, auxiliary=True)
    images = jnp.asarray(np.random.default_rng(0).random((4, 32, 32, 3), np.float32))
    return model, images, compiled(functools.partial(models.initialise, model))(KEY, images)


def test_a_loss_reads_the_auxiliary_logits_of_training():
    """Section 5: their losses are added with weight 0.3. The result is one array still."""
    model, images, variables = with_auxiliaries()
    labels = jnp.arange(4)

    def loss(classifiers, variables):
        logits, state = model.apply(
            {**variables, "params": {**variables["params"], **classifiers}},
            images,
            train=True,
            rngs={"dropout": KEY},
            mutable=["batch_stats", "intermediates"],
        )
        features = state["intermediates"]
        assert logits.shape == features["aux1_logits"].shape
        early = sum(softmax_cross_entropy(features[f"aux{i}_logits"], labels) for i in (1, 2))
        return (softmax_cross_entropy(logits, labels) + 0.3 * early).mean(), state["batch_stats"]

    classifiers = {name: variables["params"][name] for name in ("aux1", "aux2", "head")}
    gradients, statistics = compiled(jax.grad(loss, has_aux=True))(classifiers, variables)
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.any(gradient), path
    moved = jax.tree.map(lambda new, old: np.any(new != old), statistics, variables["batch_stats"])
    assert jax.tree.all(moved)


def test_auxiliary_classifiers_leave_the_logits_alone():
    model, images, variables = with_auxiliaries()
    logits, alone = compiled(
        lambda variables: (model.apply(variables, images), model.clone(auxiliary=False).apply(variables, images))
    )(variables)
    np.testing.assert_array_equal(logits, alone)


def test_kernels_start_as_torchvisions():
    params = with_auxiliaries()[2]["params"]
    for layer in (params["aux1"]["dense"], params["conv1"]["conv"], params["inception4a"]["conv3x3"]["conv"]):
        kernel = np.asarray(layer["kernel"])
        np.testing.assert_allclose(kernel.std(), 0.01, rtol=4 / np.sqrt(2 * kernel.size))  # four standard errors


def test_the_paper_has_biases_and_two_response_normalisations_instead_of_batch_normalisation():
    variables, _ = abstract("googlenet_paper", 64)
    assert variables.keys() == {"params"}
    assert variables["params"]["inception3a"]["conv5x5"]["conv"]["kernel"].shape == (5, 5, 16, 32)
    assert variables["params"]["inception3a"]["conv5x5"].keys() == {"conv"}
    program = jax.make_jaxpr(models.create("googlenet_paper").apply)(variables, jnp.zeros((1, 64, 64, 3)))
    powers = [equation for equation in program.eqns if equation.primitive.name == "pow"]
    assert [power.outvars[0].aval.shape for power in powers] == [(1, 16, 16, 64), (1, 16, 16, 192)]


def test_epsilon_of_the_batch_normalisations():
    assert models.create("googlenet").norm(name="bn").epsilon == 1e-3
    assert models.create("googlenet", norm="batch").norm is BatchNorm


def test_rematerialised_it_is_the_same_network():
    usual, _ = abstract("googlenet", 32, **SMALL)
    again, _ = abstract("googlenet", 32, **SMALL, remat=True)
    assert usual == again
    model = models.create("googlenet", **SMALL, remat=True)
    assert "remat" in str(jax.make_jaxpr(model.apply)(again, jnp.zeros((1, 32, 32, 3))))


@pytest.mark.parametrize(("name", "least"), [("googlenet", 15), ("googlenet_paper", 31)])
def test_least_image_size(name, least):
    abstract(name, least, auxiliary=True)
    with pytest.raises(InputError, match=f"images of shape .* at least {least}"):
        abstract(name, least - 1)


def test_an_unknown_module_is_refused():
    with pytest.raises(InputError, match=r"modules: 3a, 6a, expected some of 3a, 3b, .*5b"):
        abstract("googlenet", 32, modules=("3a", "6a"))
