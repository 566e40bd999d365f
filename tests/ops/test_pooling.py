import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.ops.activations import step
from jaxvision.ops.pooling import avg_pool, max_pool

GEOMETRIES = [(2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 3, 1), (2, 1, 1), (5, 3, 2)]


@pytest.mark.parametrize(("window", "stride", "padding"), GEOMETRIES)
def test_pools_equal_reduce_window(window, stride, padding):
    images = np.random.default_rng(0).normal(-5, 1, (2, 7, 8, 3)).astype(np.float32)  # zero padding would win

    def reduce_window(images, start, operation):
        pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
        shape, strides = (1, window, window, 1), (1, stride, stride, 1)
        return jax.lax.reduce_window(images, start, operation, shape, strides, pads)

    @jax.jit
    def values_and_gradients(images):
        pools = [
            lambda images: max_pool(images, window, stride=stride, padding=padding),
            lambda images: reduce_window(images, -jnp.inf, jax.lax.max),
            lambda images: avg_pool(images, window, stride=stride, padding=padding),
            lambda images: reduce_window(images, 0.0, jax.lax.add) / window**2,
        ]
        return [(pool(images), jax.grad(lambda x, pool=pool: jnp.sum(jnp.sin(pool(x))))(images)) for pool in pools]

    ours_max, max_reference, ours_avg, avg_reference = values_and_gradients(images)
    for ours, reference in [*zip(ours_max, max_reference), *zip(ours_avg, avg_reference)]:
        np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-6)


def test_gradient_of_ties_goes_to_the_first():
    gradient = jax.grad(lambda images: max_pool(images, 2).sum())(jnp.zeros((1, 2, 2, 1)))
    np.testing.assert_array_equal(gradient.reshape(-1), [1, 0, 0, 0])


@pytest.mark.parametrize("place", range(4))
def test_nan_is_not_hidden(place):
    assert jnp.isnan(max_pool(jnp.arange(4.0).at[place].set(jnp.nan).reshape(1, 2, 2, 1), 2)).all()


@pytest.mark.parametrize(("window", "padding"), [(6, 0), (3, 2), (3, -1)])
def test_impossible_windows(window, padding):
    with pytest.raises(InputError, match="does not fit 5x5"):
        max_pool(jnp.zeros((1, 5, 5, 1)), window, padding=padding)


def test_step():
    np.testing.assert_array_equal(step(jnp.array([-2.0, -0.0, 0.0, 1e-9])), [-1, 1, 1, 1])
