"""What the primitives of ours have in common; a primitive is a function with derivatives and batches of its own.

Where what JAX makes of its own functions is right but slow, a primitive says how it is compiled on a platform, and
what its derivatives are made of.
"""

import functools
from collections.abc import Callable

import jax
from jax.extend.core import Primitive
from jax.interpreters import mlir, xla


def compile_as(primitive: Primitive, function: Callable, *, platform: str | None = None) -> None:
    """Let `function(*arrays, **parameters)`, a tuple of arrays or one, be what the primitive becomes on a platform.

    Without one: on all others. Outside of `jax.jit` the primitive is compiled by itself.
    """
    lower = mlir.lower_fun(function, multiple_results=primitive.multiple_results)

    def rule(context, *values, **parameters):
        # Inside `shard_map` too it sees arrays, not parts of some.
        local = [
            [jax.core.ShapedArray(aval.shape, aval.dtype) for aval in avals]
            for avals in (context.avals_in, context.avals_out)
        ]
        return lower(context.replace(avals_in=local[0], avals_out=local[1]), *values, **parameters)

    if platform is None:
        primitive.def_impl(functools.partial(xla.apply_primitive, primitive))
    mlir.register_lowering(primitive, rule, platform=platform)


def varying_alike(*arrays: jax.Array) -> list[jax.Array]:
    """Under `shard_map` a kernel that devices share may meet examples of their own: make it each one's own, too.

    What transposes that is a sum over the devices, so the kernel's gradient is that of all examples.
    """
    varying = [jax.typeof(array).mat.varying for array in arrays]
    missing = [frozenset.union(*varying) - axes for axes in varying]
    return [jax.lax.pcast(array, tuple(sorted(axes)), to="varying") for array, axes in zip(arrays, missing)]
