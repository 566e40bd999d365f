import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.models.blocks import Dense
from jaxvision.ops.product import product

KEYS = jax.random.split(jax.random.key(0), 3)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
def test_values_and_derivatives_are_those_of_a_dot_product(shape):
    x, kernel = jax.random.normal(KEYS[0], shape), jax.random.normal(KEYS[1], (5, 4))

    def cubes(multiply):
        return lambda x, kernel: jnp.sum(multiply(x, kernel) ** 3)

    def everything(multiply):
        of_both = cubes(multiply)
        tangents = (jnp.ones_like(x), jnp.ones_like(kernel))
        return (
            multiply(x, kernel),
            jax.grad(of_both, (0, 1))(x, kernel),
            jax.jvp(of_both, (x, kernel), tangents),
            jax.jit(jax.hessian(of_both, (0, 1)))(x, kernel),
            jax.jvp(jax.grad(of_both, 1), (x, kernel), tangents),
        )

    ours, theirs = jax.tree.leaves(everything(product)), jax.tree.leaves(everything(jnp.dot))
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("axes", [(0, 0), (None, 0), (0, None), (1, 2)])
@pytest.mark.parametrize("inner", [product, jax.grad(lambda x, kernel: jnp.sum(product(x, kernel) ** 2), 1)])
def test_of_many_it_is_each_by_itself(axes, inner):
    shapes = {0: (6, 3, 5), 1: (3, 6, 5), None: (3, 5)}, {0: (6, 5, 4), 2: (5, 4, 6), None: (5, 4)}
    x, kernel = (jax.random.normal(key, each[axis]) for key, each, axis in zip(KEYS, shapes, axes))
    together = jax.jit(jax.vmap(inner, axes))(x, kernel)
    for i, one in enumerate(together):
        own = [array if axis is None else jnp.take(array, i, axis) for array, axis in zip((x, kernel), axes)]
        np.testing.assert_allclose(one, inner(*own), rtol=1e-5, atol=1e-4)


def test_kernels_that_share_x_have_a_gradient_with_x_in_its_rows():
    gradient = jax.grad(lambda kernel, x: jnp.sum(product(x, kernel) ** 2))
    program = jax.make_jaxpr(jax.vmap(gradient, (0, None)))(jnp.ones((6, 5, 4)), jnp.ones((3, 5)))
    results = [
        equation.outvars[0].aval.shape for equation in program.eqns if equation.primitive.name == "dot_general"
    ]
    assert results[-1] == (5, 6, 4)


def test_precision_is_that_of_the_call():
    def precise(x, kernel):
        with jax.default_matmul_precision("highest"):
            return jax.value_and_grad(lambda x, kernel: jnp.sum(product(x, kernel) ** 2), (0, 1))(x, kernel)

    def layer(x, kernel):
        return Dense(4, precision="highest").apply({"params": {"kernel": kernel, "bias": kernel[0]}}, x)

    for function, products in ((precise, 3), (layer, 1)):
        text = jax.jit(function).lower(jnp.ones((3, 5)), jnp.ones((5, 4))).as_text()
        assert text.count("precision = [HIGHEST, HIGHEST]") == products == text.count("dot_general")


@pytest.mark.parametrize(("x", "kernel"), [((3, 5), (7, 4)), ((3, 5), (5,)), ((), (5, 4))])
def test_shapes_that_do_not_fit(x, kernel):
    with pytest.raises(InputError, match=r"product: x float32\[.*\], kernel float32\[.*\], expected \[\.\.\., C\]"):
        product(jnp.ones(x), jnp.ones(kernel))
    with pytest.raises(InputError, match="of one type"):
        product(jnp.ones((3, 5), jnp.bfloat16), jnp.ones((5, 4)))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_dense_layer_is_linens(dtype):
    x = jax.random.normal(KEYS[0], (3, 5))
    ours, theirs = (layer(4, dtype=dtype, bias_init=nn.initializers.ones) for layer in (Dense, nn.Dense))
    variables = theirs.init(KEYS[1], x)
    chex.assert_trees_all_equal(ours.init(KEYS[1], x), variables)
    chex.assert_trees_all_equal(ours.apply(variables, x), theirs.apply(variables, x))
