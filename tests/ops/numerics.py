"""How operators are checked: against a reference to rounding, and against central differences in float64."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.ops.finite_differences import directional_difference

STEP = 1e-4
KINK_DISTANCE = 10 * STEP
QUICK_TO_COMPILE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def compiled(function):
    """`jax.jit` for a function that runs once: compiling it well would take longer than running it."""
    return jax.jit(function, compiler_options=QUICK_TO_COMPILE)


def assert_close(ours, reference, tolerance=1e-5):
    """Every leaf equal within `tolerance` of the reference's largest element."""
    jax.tree.map(lambda a, b: _assert_leaf_close(a, b, tolerance), ours, reference)


def _assert_leaf_close(ours, reference, tolerance):
    ours, reference = np.asarray(ours), np.asarray(reference)
    assert ours.shape == reference.shape
    scale = max(np.abs(reference).max(initial=0), 1e-30)
    np.testing.assert_allclose(ours / scale, reference / scale, rtol=0, atol=tolerance)


def values_and_gradients(function, *arrays):
    """(function(*arrays), the gradients of a weighted sum of it with respect to every array)."""

    def weighted(*arrays):
        out = function(*arrays)
        weights = jnp.cos(jnp.arange(out.size, dtype=out.dtype)).reshape(out.shape)
        return jnp.sum(weights * out), out

    gradients, out = jax.grad(weighted, tuple(range(len(arrays))), has_aux=True)(*arrays)
    return out, gradients


def assert_differentiates(function, *arrays, seed=0, tolerance=1e-6):
    """jvp and vjp of `function` in float64 against central differences along a random direction.

    The difference is relative to the largest element of the derivative, or of the value where that is larger.
    """
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(array, np.float64) for array in arrays]
    directions = [rng.normal(size=array.shape) for array in arrays]
    directions = [direction / max(np.abs(direction).max(initial=0), 1.0) for direction in directions]

    def measure(arrays, directions):
        value, tangent = jax.jvp(function, arrays, directions)
        cotangent = jnp.cos(jnp.arange(value.size, dtype=value.dtype)).reshape(value.shape)
        gradients = jax.vjp(function, *arrays)[1](cotangent)
        difference = directional_difference(lambda arrays: function(*arrays), arrays, directions, h=STEP)
        transposed = sum(jnp.vdot(gradient, direction) for gradient, direction in zip(gradients, directions))
        return value, tangent, difference, transposed, jnp.vdot(cotangent, tangent)

    with jax.enable_x64(True):
        measured = compiled(measure)(tuple(arrays), tuple(directions))
    value, tangent, difference, transposed, expected = map(np.asarray, measured)
    scale = max(np.abs(difference).max(initial=0), np.abs(value).max(initial=0), 1.0)
    np.testing.assert_allclose(tangent / scale, difference / scale, rtol=0, atol=tolerance)
    np.testing.assert_allclose(transposed, expected, rtol=1e-9, atol=1e-9 * scale * max(value.size, 1))
