"""A value that is computed once, whatever XLA thinks of it.

To spare memory, XLA's compiler for CPUs computes what is cheap again for each of its readers. In a residual
network every sum reads the sum before: so a block reads the branches of all blocks before it, its gradient those
of all after it, and ResNet-110 takes 10 to 25 % longer to train and to compile. `jax.lax.optimization_barrier` is
no help: it is gone when XLA decides about this. A loop is in the way, be it one that never runs.
"""

import functools

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir, xla


def materialise(x: jax.Array) -> jax.Array:
    """x itself, which on a CPU is in memory before anyone reads it; so are its derivatives of any order."""
    return PRIMITIVE.bind(x)


def _behind_a_loop(x):
    if not all(isinstance(size, int) and size for size in x.shape):
        return x  # empty, or exported for any size
    first = x[(0,) * x.ndim]
    never = (first != first) & (first == first)  # which the compiler doesn't see through
    return jax.lax.while_loop(lambda _: never, jnp.negative, x)


PRIMITIVE = Primitive("materialise")
PRIMITIVE.def_impl(functools.partial(xla.apply_primitive, PRIMITIVE))
PRIMITIVE.def_abstract_eval(lambda x: x)
ad.deflinear2(PRIMITIVE, lambda cotangent, _: [materialise(cotangent)])
batching.defvectorized(PRIMITIVE)
mlir.register_lowering(PRIMITIVE, lambda context, x: [x])


def _lower_on_cpu(context, x):
    local = [jax.core.ShapedArray(aval.shape, aval.dtype) for aval in context.avals_in]  # no devices
    return mlir.lower_fun(_behind_a_loop, multiple_results=False)(context.replace(avals_in=local), x)


mlir.register_lowering(PRIMITIVE, _lower_on_cpu, platform="cpu")
