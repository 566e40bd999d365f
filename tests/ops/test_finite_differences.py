import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.ops.finite_differences import (
    central_difference,
    directional_difference,
    forward_difference,
    relative_error,
)

POINT = {"x": -2.0, "y": 5.0, "z": -4.0}


def course(p):
    return (p["x"] + p["y"]) * p["z"]


def test_course_example():
    """f = (x + y) z at (-2, 5, -4): z, z and x + y; linear in each, so that differences are exact."""
    expected = {"x": -4, "y": -4, "z": 3}
    with jax.enable_x64(True):
        for derivative in (
            jax.grad(course)(POINT),
            central_difference(course, POINT),
            forward_difference(course, POINT),
        ):
            assert derivative.keys() == expected.keys()
            assert relative_error(derivative, jax.tree.map(jnp.float64, expected)) < 1e-10


@pytest.mark.parametrize("h", [1e-1, 1e-2, 1e-3])
def test_errors_are_those_of_the_series(h):
    """Of x**3 at 2: h**2 for the central difference, 6 h + h**2 for the forward one."""
    with jax.enable_x64(True):
        central = central_difference(lambda x: x**3, jnp.float64(2), h=h)
        forward = forward_difference(lambda x: x**3, jnp.float64(2), h=h)
    np.testing.assert_allclose(central, 12 + h**2, rtol=1e-11)
    np.testing.assert_allclose(forward, 12 + 6 * h + h**2, rtol=1e-11)


def network(params, x):
    hidden = jnp.tanh(x @ params["hidden"]["kernel"] + params["hidden"]["bias"].reshape(1, -1))
    return jnp.sum(jnp.sin(hidden @ params["head"]))


def test_thousands_of_parameters():
    """4,608 of a small network; the forward difference is right to h only."""
    rng = np.random.default_rng(0)
    params = {
        "hidden": {"kernel": rng.normal(size=(64, 64)) / 8, "bias": rng.normal(size=64)},
        "head": rng.normal(size=(64, 7)) / 8,
    }
    x = rng.normal(size=(5, 64))
    with jax.enable_x64(True):
        gradient = jax.grad(network)(params, x)
        central = central_difference(lambda params: network(params, x), params)
        forward = forward_difference(lambda params: network(params, x), params)
        assert jax.tree.map(jnp.shape, central) == jax.tree.map(jnp.shape, params)
        assert {leaf.dtype for leaf in jax.tree.leaves((central, forward))} == {np.dtype("float64")}
        assert relative_error(central, gradient) < 1e-7
        assert 1e-6 < relative_error(forward, gradient) < 1e-3


def test_float32():
    x = jnp.array([0.3, -1.0, 2.0])
    central = central_difference(lambda x: jnp.sum(jnp.sin(x)), x, h=1e-2)
    assert central.dtype == jnp.float32
    np.testing.assert_allclose(central, jnp.cos(x), atol=1e-3)


def test_under_jit():
    with jax.enable_x64(True):
        x = jnp.linspace(-1, 1, 5)
        jitted = jax.jit(lambda x: central_difference(lambda x: jnp.sum(x**2), x))(x)
        np.testing.assert_allclose(jitted, 2 * x, atol=1e-11)


def test_along_a_direction():
    """Of an array-valued function: the Jacobian times the direction."""
    rng = np.random.default_rng(1)
    matrix, x, direction = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=4)
    with jax.enable_x64(True):
        ours = directional_difference(lambda x: jnp.sin(matrix @ x), x, direction)
    np.testing.assert_allclose(ours, np.cos(matrix @ x) * (matrix @ direction), rtol=1e-6, atol=1e-7)


def test_relative_error_by_hand():
    """|3 - 4| / 4 and |8 - 10| / 10: the worse is 1/4."""
    a, b = {"u": jnp.array([3.0, 0.5]), "v": jnp.array([8.0])}, {"u": jnp.array([4.0, 0.5]), "v": jnp.array([10.0])}
    assert relative_error(a, b) == relative_error(b, a) == 0.25
    assert relative_error(a, a) == 0
    assert relative_error(jnp.zeros(2), jnp.zeros(2)) == 0
    assert relative_error(jnp.zeros(2), jnp.array([0, 1e-20])) == 1
    assert jnp.isnan(relative_error(a, {"u": jnp.array([3.0, jnp.nan]), "v": jnp.array([8.0])}))


def test_a_wrong_gradient_is_noticed():
    """That of a tanh whose derivative forgot the square."""

    @jax.custom_jvp
    def wrong_tanh(x):
        return jnp.tanh(x)

    wrong_tanh.defjvps(lambda tangent, y, x: (1 - y) * tangent)

    def total(x):
        return jnp.sum(wrong_tanh(x))

    with jax.enable_x64(True):
        x = jnp.linspace(-1, 1, 4)
        assert relative_error(central_difference(total, x), jax.grad(total)(x)) > 0.1


def test_bad_input():
    with pytest.raises(InputError, match=r"f gives shape \[3\], expected a scalar"):
        central_difference(lambda x: x, jnp.zeros(3))
    with pytest.raises(InputError, match="not of floats"):
        forward_difference(lambda x: jnp.sum(x) * 1.0, jnp.arange(3))
