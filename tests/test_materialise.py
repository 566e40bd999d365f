import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import shard_map
from jax.sharding import Mesh, PartitionSpec

from jaxvision.materialise import materialise

NUMBERS = jnp.array([[np.nan, 1.5, -0.0], [-2.0, np.inf, 1e-45]])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32"])
def test_it_is_what_it_was_bit_by_bit(dtype):
    x = jnp.nan_to_num(NUMBERS).astype(dtype) if dtype == "int32" else NUMBERS.astype(dtype)
    forms = [(x, materialise(x)), (x, jax.jit(materialise)(x)), (x, jax.vmap(materialise, 1, 1)(x))]
    for given, result in [*forms, (x[0, 1], materialise(x[0, 1]))]:
        assert result.dtype == given.dtype
        assert np.asarray(result).tobytes() == np.asarray(given).tobytes()
    assert materialise(x[:0]).shape == (0, 3)


def test_derivatives_of_any_order_are_those_of_the_identity():
    x = jnp.array([0.3, -1.2])

    def cubes(x):
        return jnp.sum(materialise(materialise(x) ** 3))

    np.testing.assert_allclose(jax.jit(jax.grad(cubes))(x), 3 * x**2, rtol=1e-6)
    np.testing.assert_allclose(jax.jvp(cubes, (x,), (jnp.ones(2),))[1], jnp.sum(3 * x**2), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.hessian(cubes))(x), jnp.diag(6 * x), rtol=1e-6)


def test_every_device_has_its_own():
    mesh = Mesh(jax.devices()[:2], "batch")
    of_devices = shard_map(
        materialise, mesh=mesh, in_specs=PartitionSpec("batch"), out_specs=PartitionSpec("batch")
    )
    np.testing.assert_array_equal(jax.jit(of_devices)(jnp.arange(4.0)), jnp.arange(4.0))


def test_no_sum_is_computed_again_for_the_next_one():
    """With eight blocks XLA would read the branches of all of them in one loop."""

    def blocks(x, kernels, wall):
        for kernel in kernels:
            x = wall(jax.nn.relu(x + x @ kernel))
        return x.sum()

    def most_read(wall):
        gradient = jax.grad(lambda x, kernels: blocks(x, kernels, wall), argnums=(0, 1))
        program = jax.jit(gradient).lower(jnp.ones((64, 32)), [jnp.ones((32, 32))] * 8).compile()
        loops = re.findall(r"^%?\S*fused\S* \((.*?)\) ->", program.as_text(), re.M)
        return max(loop.count("f32[64,32]") for loop in loops)

    assert most_read(lambda x: x) >= 8
    assert most_read(materialise) <= 3


def test_a_tree_of_several_kinds_stays_together():
    def scaled(x, mask, count):
        x, mask, count, _ = materialise((x, mask, count, jnp.zeros((0, 3))))
        return jnp.sum(jnp.where(mask, x, 0) ** 2) * count

    arguments = jnp.array([1.0, 2.0, 3.0]), jnp.array([True, False, True]), jnp.int32(2)
    assert scaled(*arguments) == 20
    np.testing.assert_array_equal(jax.jit(jax.grad(scaled))(*arguments), [4, 0, 12])
    np.testing.assert_array_equal(jax.vmap(scaled, (None, None, 0))(*arguments[:2], jnp.arange(3)), [0, 10, 20])
    assert materialise({}) == {}
