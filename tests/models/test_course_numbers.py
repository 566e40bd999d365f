"""Numbers that the course prints beside its networks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import InputError


def shapes(name, image_shape, **fields):
    """Shapes of the parameters and of the features of one image."""
    model = models.create(name, **fields)
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    variables = jax.eval_shape(functools.partial(models.initialise, model), jax.random.key(0), images)
    _, state = jax.eval_shape(functools.partial(model.apply, mutable="intermediates"), variables, images)
    parameters = jax.tree.map(lambda leaf: leaf.shape, variables["params"])
    return parameters, {k: v.shape[1:] for k, v in state["intermediates"].items()}


def test_mlp_first_layer():
    params, _ = shapes("mlp", (28, 28, 1))
    assert params["hidden1"] == {"kernel": (784, 64), "bias": (64,)}  # 50,240 parameters


def test_course_mnist_cnn():
    params, features = shapes("course_mnist_cnn", (28, 28, 1))
    assert features == {"conv1": (24, 24, 9), "pool1": (12, 12, 9), "logits": (10,)}
    assert params["conv1"] == {"kernel": (5, 5, 1, 9), "bias": (9,)}


def test_course_mnist_cnn_without_pooling():
    params, _ = shapes("course_mnist_cnn", (28, 28, 1), pool=False)
    assert np.prod(params["head"]["kernel"]) == 51_840


def test_course_cifar_cnn():
    _, features = shapes("course_cifar_cnn", (32, 32, 3))
    assert features == {
        "C1": (32, 32, 32),
        "P2": (16, 16, 32),
        "C3": (16, 16, 32),
        "P4": (8, 8, 32),
        "C5": (8, 8, 64),
        "P6": (4, 4, 64),
        "F7": (64,),
        "F8": (10,),
    }


def test_lenet():
    _, features = shapes("lenet", (28, 28, 1))
    assert features == {
        "C1": (28, 28, 6),
        "S2": (14, 14, 6),
        "C3": (10, 10, 16),
        "S4": (5, 5, 16),
        "C5": (120,),
        "F6": (84,),
        "logits": (10,),
    }


@pytest.mark.parametrize(
    ("name", "least"), [("lenet", 12), ("course_mnist_cnn", 6), ("course_cifar_cnn", 1), ("digits_cnn", 2)]
)
def test_least_image_size(name, least):
    shapes(name, (least, least, 1))
    with pytest.raises(InputError, match=f"images of shape .* at least {least}"):
        shapes(name, (least + 1, least - 1, 1))


def test_one_versus_all_perceptrons_cannot_rank():
    """The exercise: x W^T + b = (0.625, -0.546) and (0.06, 0.428), so the second point is claimed by both."""
    variables = {
        "params": {"head": {"kernel": jnp.array([[0.55, -0.32], [-0.12, 0.5]]), "bias": jnp.array([0.4, -0.2])}}
    }
    points = jnp.array([[0.3, -0.5], [-0.4, 1.0]]).reshape(2, 1, 2, 1)
    model = models.create("perceptron", num_classes=2)
    answers, state = model.apply(variables, points, mutable="intermediates")
    np.testing.assert_allclose(
        state["intermediates"]["pre_activation"], [[0.625, -0.546], [0.06, 0.428]], atol=1e-6
    )
    np.testing.assert_array_equal(answers, [[1, -1], [1, 1]])
