"""What this machine allows: float32 operations, and bytes to and from memory, a second; as JAX reaches them.

The roofline model (Williams et al. 2009). Arrays of a few megabytes may stay in the caches and beat it.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from scripts.benchmarks.timing import seconds_a_call

MATRIX_SIZES = (512, 768, 1024, 1536, 2048)
COPIED_BYTES = 2**28  # far more than the caches hold
TRIES = 3


def bound_seconds(flops: float, moved_bytes: float) -> float:
    """The least time of an operator: it is bound by arithmetic or by memory."""
    return max(flops / peak_flops(), moved_bytes / bandwidth())


@cache
def peak_flops() -> float:
    """Floating-point operations a second of the best matrix product."""
    product = jax.jit(jnp.matmul)

    def rate(size):
        matrix = jnp.asarray(np.random.default_rng(0).normal(size=(size, size)), jnp.float32)
        return 2 * size**3 / best_seconds(product, matrix, matrix)

    return max(map(rate, MATRIX_SIZES))


@cache
def bandwidth() -> float:
    """Bytes a second of reading one array and writing another."""
    return 2 * COPIED_BYTES / best_seconds(jax.jit(lambda x: x + 1), jnp.zeros(COPIED_BYTES // 4))


def best_seconds(function, *arrays):
    function(*arrays).block_until_ready()
    return min(seconds_a_call(lambda: function(*arrays).block_until_ready()) for _ in range(TRIES))
