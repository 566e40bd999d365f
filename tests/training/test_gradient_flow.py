import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import models
from jaxvision.training.gradient_flow import gradient_norms, layers_by_depth

GRADIENTS = {
    "head": {"kernel": jnp.array([[2.0, 3.0], [6.0, 0.0]]), "bias": jnp.full(2, 100.0)},
    "hidden10": {"kernel": jnp.array([[3.0], [4.0]])},
    "hidden2": {"kernel": jnp.array([[-1.0]]), "bias": jnp.full(1, 100.0)},
    "norm2": {"scale": jnp.full(1, 100.0)},
}


def layers(name):
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    make = functools.partial(models.initialise, models.create(name))
    return layers_by_depth(jax.eval_shape(make, jax.random.key(0), images)["params"])


def test_norms_of_kernels_in_order_of_depth():
    assert layers_by_depth(GRADIENTS) == ["hidden2", "hidden10", "head"]
    np.testing.assert_allclose(gradient_norms(GRADIENTS), [1, 5, 7])
    np.testing.assert_allclose(jax.jit(gradient_norms)(GRADIENTS), [1, 5, 7])


def test_depth_of_our_models():
    assert layers("digits_cnn") == ["conv1", "conv2", "hidden", "head"]
    assert layers("lenet") == ["C1", "C3", "C5", "F6", "head"]
    blocks = [f"stage{stage}_block{block}" for stage in (1, 2, 3) for block in (1, 2, 3)]
    in_blocks = [f"{block}/conv{number}" for block in blocks for number in (1, 2)]
    assert layers("resnet20") == ["conv1", *in_blocks, "head"]
