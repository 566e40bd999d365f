import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision.training.descent import descend, parabola, valley


def test_gradient_descent_of_the_parabola_by_hand():
    """The distance to 2.5 shrinks by 1 - 2 learning_rate at every step."""
    rates = jnp.float32([0.0, 0.1, 0.5, 0.9, 1.0, 1.1])
    start = jnp.float32(5.0)
    paths = jax.vmap(lambda rate: descend(parabola, optax.sgd(rate), start, steps=6))(rates)
    expected = 2.5 + 2.5 * (1 - 2 * rates)[:, None] ** np.arange(7)[None]
    np.testing.assert_allclose(paths, expected, rtol=1e-5)
    assert parabola(2.5) == -4.25 and parabola(0) == 2


def test_gradient_descent_of_the_valley_by_hand():
    """x shrinks by 1 - 0.08 at every step, y by 1 - 20 * 0.08 = -0.6: a zig-zag."""
    start = jnp.array([10.0, 1.0])
    path = descend(valley, optax.sgd(0.08), start, steps=5)
    steps = np.arange(6)
    np.testing.assert_allclose(path, np.stack([10 * 0.92**steps, (-0.6) ** steps], axis=-1), rtol=1e-5)
    np.testing.assert_allclose(valley(path[:2]), [(100 + 20) / 2, (9.2**2 + 20 * 0.36) / 2], rtol=1e-6)
    np.testing.assert_array_equal(
        jax.jit(lambda start: descend(valley, optax.sgd(0.08), start, steps=5))(start).shape, (6, 2)
    )


def test_momentum_goes_further_along_the_valley():
    start = jnp.array([10.0, 1.0])
    plain, momentum = (
        descend(valley, optax.sgd(0.02, momentum=momentum), start, steps=60)[-1] for momentum in (None, 0.8)
    )
    assert valley(momentum) < 0.05 * valley(plain)
