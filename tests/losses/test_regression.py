import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.losses import squared_error


def test_by_hand():
    """1 + 4 + 0 and 0 + 0 + 9; of one output each, 0.25 and 4."""
    outputs, targets = jnp.array([[1.0, 2.0, 3.0], [0.0, 0.0, -1.0]]), jnp.array([[0.0, 4.0, 3.0], [0.0, 0.0, 2.0]])
    np.testing.assert_array_equal(squared_error(outputs, targets), [5, 9])
    np.testing.assert_array_equal(squared_error(jnp.array([0.5, -1.0]), jnp.array([1.0, 1.0])), [0.25, 4])


def test_images_are_summed_over_pixels():
    images = jax.random.normal(jax.random.key(0), (4, 3, 2, 1))
    expected = np.sum(np.square(np.asarray(images)), axis=(1, 2, 3))
    np.testing.assert_allclose(squared_error(images, jnp.zeros_like(images)), expected, rtol=1e-6)


def test_gradient_is_twice_the_error():
    outputs, targets = jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 0.5]])
    gradient = jax.grad(lambda outputs: squared_error(outputs, targets).sum())(outputs)
    np.testing.assert_array_equal(gradient, [[-4, 3]])


def test_the_mean_minimises_it():
    targets = jnp.array([1.0, 2.0, 6.0])
    gradient = jax.grad(lambda output: squared_error(jnp.broadcast_to(output, 3), targets).sum())(3.0)
    assert gradient == 0


def test_bfloat16_outputs_give_a_float32_loss():
    outputs = jnp.full((1, 1000), 1, jnp.bfloat16)
    loss = squared_error(outputs, jnp.zeros((1, 1000)))
    assert loss.dtype == jnp.float32
    assert loss[0] == 1000


def test_shapes_that_would_broadcast():
    with pytest.raises(InputError, match=r"outputs of shape \[3, 1\] and targets of shape \[3\]"):
        squared_error(jnp.zeros((3, 1)), jnp.zeros(3))
