"""The sides of a benchmark train one and the same network."""

import functools

import jax
import numpy as np
import optax
import pytest

from jaxvision import models
from scripts.benchmarks import networks_linen, networks_ours
from scripts.benchmarks.networks import SETTINGS, normalised, random_examples
from tests.ops.numerics import assert_close, compiled

FLATTENED = {"lenet": ("C5", (5, 5, 16)), "course_cnn": ("F7", (4, 4, 64))}  # what a layer sees as a vector
TORCH_NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
WITHOUT_DROPOUT = {"course_cnn": {"dropout_rate": 0.0}}

every_network = pytest.mark.parametrize("name", SETTINGS)


def examples(name):
    """Four images, of 64x64 where the benchmark's are large: no parameter depends on it."""
    height, width, channels = SETTINGS[name].image_shape
    images, labels = random_examples(4, (min(height, 64), min(width, 64), channels))
    return normalised(images), labels


def variable_shapes(side, name):
    init = functools.partial(side.NETWORKS[name]().init, train=False)
    return jax.tree.map(np.shape, jax.eval_shape(init, jax.random.key(0), examples(name)[0]))


def random_variables(shapes):
    """Kernels that keep the scale of what they see; all vectors, of which one is a variance, between 1/2 and 2."""
    rng = np.random.default_rng(0)

    def draw(shape):
        kernel = rng.normal(0, np.prod(shape[:-1]) ** -0.5, shape)
        return np.float32(kernel if len(shape) > 1 else rng.uniform(0.5, 2, shape))

    return jax.tree.map(draw, shapes, is_leaf=lambda node: isinstance(node, tuple))


@functools.cache
def in_flax(name):
    """Ours and plain linen with the same variables: ((logits, state), (logits, state), variables)."""
    variables = random_variables(variable_shapes(networks_ours, name))
    sides = [side.NETWORKS[name](**WITHOUT_DROPOUT.get(name, {})) for side in (networks_ours, networks_linen)]
    mutable = sorted(variables.keys() - {"params"})

    @compiled
    def measure(variables, images):
        return [model.apply(variables, images, train=True, mutable=mutable) for model in sides]

    return *measure(variables, examples(name)[0]), variables


@every_network
def test_ours_and_linen_lose_the_same(name):
    logits, linen_logits = (logits for logits, _ in in_flax(name)[:2])
    labels = examples(name)[1]
    loss, linen_loss = (
        optax.softmax_cross_entropy_with_integer_labels(x, labels).mean() for x in (logits, linen_logits)
    )
    np.testing.assert_allclose(loss, linen_loss, rtol=1e-5)
    assert_close(logits, linen_logits, 2e-5)


@every_network
def test_linen_has_the_same_variables(name):
    assert variable_shapes(networks_linen, name) == variable_shapes(networks_ours, name)


@pytest.mark.parity
@every_network
def test_torch_answers_the_same_with_as_many_parameters(name):

    from scripts.benchmarks import networks_torch
    from scripts.benchmarks.training_torch import as_tensor

    (logits, state), _, variables = in_flax(name)
    model = networks_torch.NETWORKS[name](**WITHOUT_DROPOUT.get(name, {}))
    assert sum(parameter.numel() for parameter in model.parameters()) == models.parameter_count(variables)
    missing, unknown = model.load_state_dict(as_torch(name, variables), strict=False)
    assert not unknown and {key.split(".")[-1] for key in missing} <= {"num_batches_tracked"}
    assert_close(model(as_tensor(examples(name)[0])).detach().numpy(), logits, 2e-5)
    for key, expected in as_torch(name, {**variables, **state}).items():
        assert_close(model.state_dict()[key], expected, 2e-5)  # the running statistics, after one step


def as_torch(name, variables):
    """Our variables under torch's names and in its layouts, {"stage1.conv1.weight": tensor}."""
    import torch

    after_flatten, flattened_shape = FLATTENED.get(name, (None, None))
    tensors = {}
    for path, array in jax.tree_util.tree_leaves_with_path(variables):
        _, *layer, kind = (step.key for step in path)
        if layer == [after_flatten] and kind == "kernel":
            array = array.reshape(*flattened_shape, -1).transpose(2, 0, 1, 3).reshape(array.shape)
        if array.ndim > 1:
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        tensors[".".join([*layer, TORCH_NAMES[kind]])] = torch.from_numpy(np.array(array))
    return tensors
