"""What every model promises, over one table of cases."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.losses import softmax_cross_entropy
from jaxvision.ops.activations import identity

CASES = [  # name, fields, image shape, parameters
    ("perceptron", {}, (28, 28, 1), 7_850),
    ("perceptron", {"num_classes": 1}, (28, 28, 1), 785),
    ("multiperceptron", {}, (28, 28, 1), 7_850),
    ("mlp", {}, (28, 28, 1), 50_890),
    ("mlp", {"features": [100, 50], "num_classes": 3}, (8, 8, 3), 24_503),
    ("lenet5", {}, (28, 28, 1), 61_706),
    ("lenet5", {"act": "tanh"}, (32, 32, 3), 83_126),
    ("course_mnist_cnn", {}, (28, 28, 1), 13_204),
    ("course_mnist_cnn", {"pool": False}, (28, 28, 1), 52_084),
    ("course_cifar_cnn", {}, (32, 32, 3), 145_578),
    ("digits_cnn", {}, (8, 8, 1), 38_282),
]
ACTIVATIONS = {"relu", "gelu", "tanh", "sigmoid", "logistic", "silu", "erf", "max", "step"}

every_case = pytest.mark.parametrize(
    "case", range(len(CASES)), ids=[f"{name}-{count}" for name, _, _, count in CASES]
)


@functools.cache
def setting(case):
    """The model of a case, its variables and four images."""
    name, fields, shape, _ = CASES[case]
    model = models.create(name, **fields)
    images = jax.random.uniform(jax.random.key(1), (4, *shape))
    return model, models.initialise(model, jax.random.key(0), images), images


def features_of(model, variables, images):
    logits, state = model.apply(variables, images, mutable="intermediates")
    return logits, state["intermediates"]


def names_in(jaxpr):
    """Names of all primitives and of all jitted or custom-derivative functions, through every sub-jaxpr."""
    found = set()
    for equation in jaxpr.eqns:
        found |= {equation.primitive.name, equation.params.get("name")}
        for leaf in jax.tree.leaves(equation.params, is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            if hasattr(leaf, "eqns"):
                found |= names_in(leaf)
    return found


def names_in_model(model, variables, images):
    return names_in(jax.make_jaxpr(model.apply)(variables, images))


def test_the_table_covers_the_catalogue():
    assert {name for name, *_ in CASES} == set(models.names())


@every_case
def test_parameter_count(case):
    name, fields, shape, count = CASES[case]
    make = functools.partial(models.initialise, models.create(name, **fields))
    variables = jax.eval_shape(make, jax.random.key(0), jax.ShapeDtypeStruct((1, *shape), jnp.float32))
    assert models.parameter_count(variables) == count
    assert variables.keys() == {"params"}


@every_case
def test_logits(case):
    model, variables, images = setting(case)
    logits = model.apply(variables, images)
    assert logits.shape == (4, model.num_classes)
    assert logits.dtype == jnp.float32
    assert jnp.isfinite(logits).all()
    np.testing.assert_allclose(jax.jit(model.apply)(variables, images), logits, rtol=1e-5, atol=1e-5)
    singles = jnp.concatenate([model.apply(variables, images[row : row + 1]) for row in range(2)])
    np.testing.assert_allclose(singles, logits[:2], rtol=1e-5, atol=1e-5)


@every_case
def test_every_parameter_has_a_gradient(case):
    model, variables, images = setting(case)

    def loss(params):
        logits, features = features_of(model, {"params": params}, images)
        scores = features.get("pre_activation", logits)  # the step of a perceptron has no gradient
        return jnp.sum(scores**2)

    for path, gradient in jax.tree_util.tree_leaves_with_path(jax.grad(loss)(variables["params"])):
        assert jnp.isfinite(gradient).all(), path
        assert jnp.any(gradient != 0), path


@every_case
def test_act_is_honoured(case):
    model, variables, images = setting(case)
    if model.act is not identity and "pool" not in CASES[case][1]:
        assert names_in_model(model, variables, images) & ACTIVATIONS
    assert not names_in_model(model.clone(act=identity), variables, images) & ACTIVATIONS


@every_case
def test_bfloat16(case):
    name, fields, _, _ = CASES[case]
    _, _, images = setting(case)
    single = models.create(name, **fields)
    half = models.create(name, **fields, dtype="bfloat16")
    variables = models.initialise(half, jax.random.key(0), images)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    _, exact = features_of(single, variables, images)
    logits, features = features_of(half, variables, images)
    assert logits.dtype == jnp.float32
    for tap in exact.keys() - {"logits"} if name == "perceptron" else exact:  # a step may jump
        scale = jnp.abs(exact[tap]).max()
        np.testing.assert_allclose(features[tap].astype(jnp.float32) / scale, exact[tap] / scale, atol=3e-2)
    hidden = features.keys() - {"logits", "pre_activation", "F8"}
    assert all(features[tap].dtype == jnp.bfloat16 for tap in hidden)


@every_case
def test_without_classes_it_embeds(case):
    name, fields, _, _ = CASES[case]
    full, variables, images = setting(case)
    model = models.create(name, **{**fields, "num_classes": 0})
    params = {layer: values for layer, values in variables["params"].items() if layer != "head"}
    embedding = model.apply({"params": params}, images)
    assert embedding.ndim == 2 and embedding.dtype == jnp.float32
    head = variables["params"]["head"]
    logits, features = features_of(full, variables, images)
    scores = embedding @ head["kernel"] + head["bias"].reshape(1, -1)
    np.testing.assert_allclose(scores, features.get("pre_activation", logits), rtol=1e-4, atol=1e-5)


@every_case
def test_taps_show_features_and_their_gradients(case):
    model, variables, images = setting(case)
    labels = jnp.zeros(4, jnp.int32)
    logits, features = features_of(model, variables, images)
    np.testing.assert_array_equal(logits, model.apply(variables, images))

    def loss(perturbations):
        logits = model.apply({**variables, "perturbations": perturbations}, images)
        return softmax_cross_entropy(logits, labels).sum()

    gradients = jax.grad(loss)(jax.tree.map(jnp.zeros_like, features))
    last = "F8" if "F8" in features else "logits"
    expected = jax.nn.softmax(logits) - jax.nn.one_hot(labels, model.num_classes)
    np.testing.assert_allclose(gradients[last], expected, atol=1e-6)
    if CASES[case][0] != "perceptron" and model.num_classes > 1:
        assert all(jnp.any(gradient != 0) for gradient in gradients.values())
    one = next(iter(features))
    np.testing.assert_allclose(
        jax.grad(loss)({one: jnp.zeros_like(features[one])})[one], gradients[one], atol=1e-6
    )
