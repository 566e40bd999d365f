"""What every model promises, over one table of cases."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.models.blocks import BatchNorm
from jaxvision.models.catalog import CONSTRUCTORS
from jaxvision.ops.activations import identity
from tests.ops.numerics import assert_close, compiled

CASES = [  # name, fields, image shape, parameters
    ("perceptron", {}, (28, 28, 1), 7_850),
    ("perceptron", {"num_classes": 1}, (28, 28, 1), 785),
    ("multiperceptron", {}, (28, 28, 1), 7_850),
    ("mlp", {}, (28, 28, 1), 50_890),
    ("mlp", {"features": [100, 50], "num_classes": 3}, (8, 8, 3), 24_503),
    ("mlp", {"features": [16] * 3, "act": "tanh", "norm": "batch", "residual": True}, (8, 8, 1), 1_802),
    ("mlp", {"features": [32, 32], "norm": "group", "kernel_init": "he"}, (8, 8, 1), 3_530),
    ("lenet", {}, (28, 28, 1), 61_706),
    ("lenet", {"act": "tanh"}, (32, 32, 3), 83_126),
    ("course_mnist_cnn", {}, (28, 28, 1), 13_204),
    ("course_mnist_cnn", {"pool": False}, (28, 28, 1), 52_084),
    ("course_cifar_cnn", {}, (32, 32, 3), 145_578),
    ("digits_cnn", {}, (8, 8, 1), 38_282),
    ("resnet20", {}, (16, 16, 3), 269_722),
    ("resnet50", {"width": 8, "blocks": [1, 1], "num_classes": 10}, (32, 32, 3), 9_362),
    ("bagnet9", {"width": 8, "blocks": [1, 1], "num_classes": 10}, (16, 16, 3), 8_786),
    ("alexnet", {"features": [8] * 5, "hidden": 16, "num_classes": 10}, (63, 63, 3), 11_338),
    (
        "alexnet_2012",
        {"features": [8] * 5, "hidden": 16, "num_classes": 10, "groups": 2, "padding": 2},
        (63, 63, 1),
        8_026,
    ),
    (
        "vgg11_bn",
        {
            "depths": [1, 3],
            "features": [4, 8],
            "hidden": 16,
            "num_classes": 10,
            "pointwise_third": True,
            "response_norm": True,
        },
        (16, 16, 3),
        7_850,
    ),
    ("nin", {"features": [8] * 8}, (8, 8, 3), 3_250),
    ("googlenet", {"modules": ["3a", "5a"], "width": 0.25, "num_classes": 10}, (32, 32, 3), 62_482),
    ("mobilenet_v1", {"width": 0.25, "blocks": [1, 2], "num_classes": 10}, (16, 16, 3), 3_002),
    ("mobilenet_v2", {"width": 0.25, "blocks": [1, 2], "num_classes": 10}, (16, 16, 3), 28_826),
    (
        "vit_ti_16",
        {"patch": 4, "width": 16, "depth": 2, "heads": 2, "grid": [2, 3], "num_classes": 10},
        (8, 12, 3),
        7_674,
    ),
]
COUNTED = [  # of a family that has a case above: what is left to check is the number of parameters
    ("mlp", {"features": [32, 32], "norm": "layer"}, (8, 8, 1), 3_530),
    ("resnet20", {"shortcut": "B"}, (32, 32, 3), 272_474),
    ("plain20", {}, (32, 32, 3), 269_722),
    ("plain56", {}, (32, 32, 3), 853_018),
    ("resnet32", {}, (32, 32, 3), 464_154),
    ("resnet32", {"shortcut": "B"}, (32, 32, 3), 466_906),
    ("resnet44", {}, (32, 32, 3), 658_586),
    ("resnet44", {"shortcut": "B"}, (32, 32, 3), 661_338),
    ("resnet56", {}, (32, 32, 3), 853_018),
    ("resnet56", {"shortcut": "B"}, (32, 32, 3), 855_770),
    ("resnet110", {}, (32, 32, 3), 1_727_962),
    ("resnet110", {"shortcut": "B"}, (32, 32, 3), 1_730_714),
    ("resnet18", {}, (224, 224, 3), 11_689_512),
    ("resnet18", {"shortcut": "none"}, (224, 224, 3), 11_515_688),
    ("resnet34", {}, (224, 224, 3), 21_797_672),
    ("resnet50", {}, (224, 224, 3), 25_557_032),
    ("resnet101", {}, (224, 224, 3), 44_549_160),
    ("resnet152", {}, (224, 224, 3), 60_192_808),
    ("bagnet9", {}, (224, 224, 3), 15_688_744),
    ("bagnet17", {}, (224, 224, 3), 16_213_032),
    ("bagnet33", {}, (224, 224, 3), 18_310_184),
    ("alexnet", {}, (224, 224, 3), 61_100_840),
    ("alexnet_2012", {}, (227, 227, 3), 62_378_344),
    ("alexnet_2012", {"groups": 2}, (227, 227, 3), 60_965_224),
    ("vgg11", {}, (224, 224, 3), 132_863_336),
    ("vgg11_bn", {}, (224, 224, 3), 132_868_840),
    ("vgg11_lrn", {}, (224, 224, 3), 132_863_336),
    ("vgg13", {}, (224, 224, 3), 133_047_848),
    ("vgg13_bn", {}, (224, 224, 3), 133_053_736),
    ("vgg16", {}, (224, 224, 3), 138_357_544),
    ("vgg16_bn", {}, (224, 224, 3), 138_365_992),
    ("vgg16_c", {}, (224, 224, 3), 133_638_952),
    ("vgg19", {}, (224, 224, 3), 143_667_240),
    ("vgg19_bn", {}, (224, 224, 3), 143_678_248),
    ("nin", {}, (32, 32, 3), 966_986),
    ("googlenet", {}, (224, 224, 3), 6_624_904),
    ("googlenet", {"auxiliary": True}, (224, 224, 3), 13_004_888),
    ("googlenet_paper", {}, (224, 224, 3), 6_998_552),
    ("googlenet_paper", {"auxiliary": True}, (224, 224, 3), 13_378_280),
    ("mobilenet_v1", {}, (224, 224, 3), 4_231_976),
    ("mobilenet_v1", {"width": 0.75}, (224, 224, 3), 2_585_560),
    ("mobilenet_v1", {"width": 0.5}, (224, 224, 3), 1_331_592),
    ("mobilenet_v1", {"width": 0.25}, (224, 224, 3), 470_072),
    ("mobilenet_v1", {"full_convolution": True}, (224, 224, 3), 29_294_088),
    ("mobilenet_v2", {}, (224, 224, 3), 3_504_872),
    ("mobilenet_v2", {"width": 0.35}, (224, 224, 3), 1_677_128),
    ("mobilenet_v2", {"width": 1.4}, (224, 224, 3), 6_108_776),
    ("vit_ti_16", {}, (224, 224, 3), 5_717_416),
    ("vit_ti_32", {}, (224, 224, 3), 6_131_560),
    ("vit_s_16", {}, (224, 224, 3), 22_050_664),
    ("vit_s_32", {}, (224, 224, 3), 22_878_952),
    ("vit_b_16", {}, (224, 224, 3), 86_567_656),
    ("vit_b_32", {}, (224, 224, 3), 88_224_232),
    ("vit_l_16", {}, (224, 224, 3), 304_326_632),
    ("vit_l_32", {}, (224, 224, 3), 306_535_400),
]
LAST = {
    "perceptron": "pre_activation",
    "multiperceptron": "pre_activation",
    "course_cifar_cnn": "F8",
}  # else "logits"
KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles faster than threefry
ACTIVATIONS = {"relu", "gelu", "tanh", "sigmoid", "logistic", "silu", "erf", "max", "step"}

every_case = pytest.mark.parametrize(
    "case", range(len(CASES)), ids=[f"{name}-{count}" for name, _, _, count in CASES]
)


@functools.cache
def setting(case):
    """The model of a case, its variables and four images."""
    name, fields, shape, _ = CASES[case]
    model = models.create(name, **fields)
    images = jnp.asarray(np.random.default_rng(0).random((4, *shape), np.float32))
    return model, compiled(functools.partial(models.initialise, model))(KEY, images), images


@functools.cache
def measured(case):
    """Everything the tests compare, from one compilation, as numpy arrays."""
    name, fields, _, _ = CASES[case]
    model, variables, images = setting(case)
    half = models.create(name, **fields, dtype="bfloat16")
    embedder = models.create(name, **{**fields, "num_classes": 0})

    def features_of(model, variables):
        return model.apply(variables, images, mutable="intermediates")[1]["intermediates"]

    def loss(params, perturbations):
        features = features_of(model, {**variables, "params": params, "perturbations": perturbations})
        return jnp.sum(jnp.sin(features[LAST.get(name, "logits")]))

    @compiled
    def measure(variables):
        params = variables["params"]
        features = features_of(model, variables)
        zeros = jax.tree.map(jnp.zeros_like, features)
        body = {layer: values for layer, values in params.items() if layer != "head"}
        return {
            "logits": model.apply(variables, images),
            "singles": jax.lax.map(lambda image: model.apply(variables, image[None])[0], images),
            "embedding": embedder.apply({**variables, "params": body}, images),
            "features": features,
            "gradients": jax.grad(loss, argnums=(0, 1))(params, zeros),
            "half": features_of(half, variables),
            "trained": model.apply(
                variables, images, train=True, rngs={"dropout": KEY}, mutable=sorted(variables.keys() - {"params"})
            ),
        }

    return jax.tree.map(np.asarray, measure(variables))


def names_in(jaxpr):
    """Names of all primitives and of all jitted or custom-derivative functions, through every sub-jaxpr."""
    found = set()
    for equation in jaxpr.eqns:
        if equation.primitive.name == "max" and getattr(equation.invars[0], "val", 0) == -np.inf:
            continue  # no activation, but the largest score of a softmax
        found |= {equation.primitive.name, equation.params.get("name")}
        for leaf in jax.tree.leaves(equation.params, is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            if hasattr(leaf, "eqns"):
                found |= names_in(leaf)
    return found


def names_in_model(model, variables, images):
    return names_in(jax.make_jaxpr(model.apply)(variables, images))


def family(name):
    """What members of one family share: their class."""
    return getattr(CONSTRUCTORS[name], "func", CONSTRUCTORS[name])


def abstract_variables(model, shape):
    """Shapes and types of the variables for images of this shape."""
    make = functools.partial(models.initialise, model)
    return jax.eval_shape(make, KEY, jax.ShapeDtypeStruct((1, *shape), jnp.float32))


def test_the_table_covers_the_catalogue():
    assert {family(name) for name, *_ in CASES} == {family(name) for name in models.names()}


@pytest.mark.parametrize(("name", "fields", "shape", "count"), CASES + COUNTED)
def test_parameter_count(name, fields, shape, count):
    model = models.create(name, **fields)
    variables = abstract_variables(model, shape)
    assert models.parameter_count(variables) == count
    norm = getattr(model, "norm", None)
    batch_stats = {"batch_stats"} if getattr(norm, "func", norm) is BatchNorm else set()
    assert variables.keys() == {"params"} | batch_stats


@every_case
def test_logits(case):
    model, _, _ = setting(case)
    logits = measured(case)["logits"]
    assert logits.shape == (4, model.num_classes)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert_close(measured(case)["singles"], logits)


@every_case
def test_training_changes_the_state_and_nothing_else(case):
    _, variables, _ = setting(case)
    logits, state = measured(case)["trained"]
    assert logits.shape == measured(case)["logits"].shape
    assert np.isfinite(logits).all()
    before = {name: tree for name, tree in variables.items() if name != "params"}
    jax.tree.map(lambda old, new: np.testing.assert_array_less(0, np.abs(new - old).max()), before, state)


@every_case
def test_every_parameter_and_feature_has_a_gradient(case):
    """Features through a perturbation of their name; a perceptron up to its step, which has none."""
    name = CASES[case][0]
    features, (params, perturbations) = measured(case)["features"], measured(case)["gradients"]
    last = LAST.get(name, "logits")
    np.testing.assert_allclose(perturbations[last], np.cos(features[last]), rtol=1e-4, atol=1e-6)
    if last == "pre_activation":
        del perturbations["logits"]
    for path, gradient in jax.tree_util.tree_leaves_with_path((params, perturbations)):
        assert np.isfinite(gradient).all(), path
        assert np.any(gradient), path


@every_case
def test_act_is_honoured(case):
    model, variables, images = setting(case)
    assert names_in_model(model, variables, images) & ACTIVATIONS
    assert not names_in_model(model.clone(act=identity), variables, images) & ACTIVATIONS


class Unnormalised(nn.Module):
    def __call__(self, x, *, train):
        return x


@every_case
def test_norm_is_honoured(case):
    name, fields, shape, _ = CASES[case]
    model = models.create(name, **fields)
    if hasattr(model, "norm"):
        assert abstract_variables(model.clone(norm=Unnormalised), shape).keys() == {"params"}


@every_case
def test_bfloat16(case):
    name, fields, _, _ = CASES[case]
    half = models.create(name, **fields, dtype="bfloat16")
    fresh = jax.eval_shape(functools.partial(models.initialise, half), KEY, setting(case)[2])
    assert {leaf.dtype for leaf in jax.tree.leaves(fresh)} == {jnp.dtype("float32")}
    exact, rounded = measured(case)["features"], measured(case)["half"]
    for tap in exact.keys() - ({"logits"} if name == "perceptron" else set()):  # a step may jump
        scale = np.abs(exact[tap]).max()
        np.testing.assert_allclose(rounded[tap].astype(np.float32) / scale, exact[tap] / scale, atol=3e-2)
        assert rounded[tap].dtype == (np.float32 if tap in {"logits", LAST.get(name)} else jnp.bfloat16)


@every_case
def test_without_classes_it_embeds(case):
    embedding, features = measured(case)["embedding"], measured(case)["features"]
    assert embedding.ndim == 2 and embedding.dtype == np.float32
    head = jax.tree.map(np.asarray, setting(case)[1]["params"]["head"])
    scores = embedding @ head["kernel"] + head["bias"]
    assert_close(scores, features[LAST.get(CASES[case][0], "logits")])
