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
KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles many times faster than threefry
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
    return model, models.initialise(model, KEY, images), images


def features_of(model, variables, images):
    logits, state = jax.jit(functools.partial(model.apply, mutable="intermediates"))(variables, images)
    return logits, state["intermediates"]


@functools.cache
def features(case):
    return features_of(*setting(case))


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
    jitted, _ = features(case)
    np.testing.assert_allclose(jitted, logits, rtol=1e-5, atol=1e-5)
    singles = jax.lax.map(lambda image: model.apply(variables, image[None])[0], images)
    np.testing.assert_allclose(singles, logits, rtol=1e-5, atol=1e-5)


@every_case
def test_gradients_of_parameters_and_features(case):
    """Every parameter receives one, and so does every tapped feature, through a perturbation of its name."""
    model, variables, images = setting(case)
    logits, tapped = features(case)
    labels = jnp.zeros(len(images), jnp.int32)

    @jax.jit
    @functools.partial(jax.grad, argnums=(0, 1))
    def gradients_of(params, perturbations):
        variables = {"params": params, "perturbations": perturbations}
        logits, state = model.apply(variables, images, mutable="intermediates")
        scores = state["intermediates"].get("pre_activation", logits)  # the step of a perceptron has no gradient
        return jnp.sum(softmax_cross_entropy(scores, labels) + jnp.sum(scores**2, axis=-1))

    params, perturbations = gradients_of(variables["params"], jax.tree.map(jnp.zeros_like, tapped))
    reached = tapped.keys() - ({"logits"} if "pre_activation" in tapped else set())
    perturbations = {name: perturbations[name] for name in reached}
    for path, gradient in jax.tree_util.tree_leaves_with_path((params, perturbations)):
        assert jnp.isfinite(gradient).all(), path
        assert jnp.any(gradient != 0), path
    scores = tapped.get("pre_activation", logits)
    expected = jax.nn.softmax(scores) - jax.nn.one_hot(labels, model.num_classes) + 2 * scores
    last = next(name for name in ("pre_activation", "F8", "logits") if name in tapped)
    np.testing.assert_allclose(perturbations[last], expected, rtol=1e-4, atol=1e-5)


@every_case
def test_act_is_honoured(case):
    model, variables, images = setting(case)
    if model.act is not identity and "pool" not in CASES[case][1]:
        assert names_in_model(model, variables, images) & ACTIVATIONS
    assert not names_in_model(model.clone(act=identity), variables, images) & ACTIVATIONS


@every_case
def test_bfloat16(case):
    name, fields, _, _ = CASES[case]
    _, variables, images = setting(case)
    half = models.create(name, **fields, dtype="bfloat16")
    fresh = jax.eval_shape(functools.partial(models.initialise, half), KEY, images)
    assert {leaf.dtype for leaf in jax.tree.leaves(fresh)} == {jnp.dtype("float32")}
    _, exact = features(case)
    logits, rounded = features_of(half, variables, images)
    assert logits.dtype == jnp.float32
    for tap in exact.keys() - {"logits"} if name == "perceptron" else exact:  # a step may jump
        scale = jnp.abs(exact[tap]).max()
        np.testing.assert_allclose(rounded[tap].astype(jnp.float32) / scale, exact[tap] / scale, atol=3e-2)
    hidden = rounded.keys() - {"logits", "pre_activation", "F8"}
    assert all(rounded[tap].dtype == jnp.bfloat16 for tap in hidden)


@every_case
def test_without_classes_it_embeds(case):
    name, fields, _, _ = CASES[case]
    _, variables, images = setting(case)
    model = models.create(name, **{**fields, "num_classes": 0})
    params = {layer: values for layer, values in variables["params"].items() if layer != "head"}
    embedding = jax.jit(model.apply)({"params": params}, images)
    assert embedding.ndim == 2 and embedding.dtype == jnp.float32
    head = variables["params"]["head"]
    logits, tapped = features(case)
    scores = embedding @ head["kernel"] + head["bias"].reshape(1, -1)
    np.testing.assert_allclose(scores, tapped.get("pre_activation", logits), rtol=1e-4, atol=1e-5)
