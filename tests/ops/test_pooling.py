import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.ops.activations import step
from jaxvision.ops.pooling import avg_pool, max_pool

GEOMETRIES = [(2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 3, 1), (2, 1, 1), (5, 3, 2)]


@pytest.mark.parametrize(("window", "stride", "padding"), GEOMETRIES)
@pytest.mark.parametrize("size", [(7, 9), (8, 6)])
def test_pools_equal_reduce_window(size, window, stride, padding):
    images = jax.random.normal(jax.random.key(0), (2, *size, 3)) - 5  # so that zero padding would win

    def reference(start, operation, images):
        return jax.lax.reduce_window(
            images,
            start,
            operation,
            (1, window, window, 1),
            (1, stride, stride, 1),
            ((0, 0), (padding, padding), (padding, padding), (0, 0)),
        )

    def weighted_gradient(pool):
        return jax.grad(lambda images: jnp.sum(jnp.sin(pool(images))))(images)

    pairs = [
        (max_pool, lambda images: reference(-jnp.inf, jax.lax.max, images)),
        (avg_pool, lambda images: reference(0.0, jax.lax.add, images) / window**2),
    ]
    for pool, expected in pairs:
        ours = lambda images, pool=pool: pool(images, window, stride=stride, padding=padding)  # noqa: E731
        np.testing.assert_allclose(ours(images), expected(images), rtol=1e-5)
        np.testing.assert_allclose(weighted_gradient(ours), weighted_gradient(expected), rtol=1e-4, atol=1e-6)


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
