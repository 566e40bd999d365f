import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.convolution.winograd import A, B, G, winograd
from tests.ops.convolution.cases import Case, random_arrays
from tests.ops.numerics import assert_close, compiled


def test_matrices_give_two_outputs_of_a_filter_of_three():
    """F(2, 3), section 2.1: exact for every pair of unit vectors, and so for all."""
    for pixels in np.eye(4):
        for kernel in np.eye(3):
            output = A.T @ ((G @ kernel) * (B.T @ pixels))
            np.testing.assert_array_equal(output, np.correlate(pixels, kernel, "valid"))


@pytest.mark.parametrize(
    ("size", "padding"), [((3, 3), (0, 0)), ((4, 5), (1, 1)), ((5, 4), (0, 3)), ((1, 1), (1, 2))]
)
def test_equal_to_lax(size, padding):
    case = Case(size=size, padding=padding, channels=3, features=5)
    images, kernel = random_arrays(0, *case.shapes[:2])
    ours = compiled(lambda *arrays: winograd(*arrays, padding))(images, kernel)
    assert_close(ours, compiled(case.lax)(images, kernel))


def test_many_channels_stay_accurate():
    case = Case(channels=256, features=8)
    images, kernel = random_arrays(0, *case.shapes[:2])
    with jax.enable_x64(True):
        exact = compiled(case.lax)(images.astype(np.float64), kernel.astype(np.float64))
    assert_close(compiled(lambda *arrays: winograd(*arrays, (1, 1)))(images, kernel), exact, 5e-6)


def test_multiplications():
    """2.25 times fewer than a convolution of an image of even size."""
    case = Case(size=(8, 8), channels=16, features=32)
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in case.shapes[:2]]
    jaxpr = jax.make_jaxpr(lambda *arrays: winograd(*arrays, (1, 1)))(*arrays)
    products = [
        eqn for eqn in jaxpr.eqns if eqn.primitive.name == "dot_general" and eqn.invars[0].aval.shape[2:] == (16,)
    ]
    multiplications = sum(eqn.invars[0].aval.size * case.features for eqn in products)
    assert multiplications * 2.25 == case.batch * 8 * 8 * 9 * case.channels * case.features
