"""The product of a dense layer, whose kernel's gradient is x' g where JAX's own is (g' x)'.

The numbers are the same. But in a population that shares its minibatches, as `jax.vmap` over kernels alone, g' x
has the features of all members in its rows, and turning that round takes longer than to compute it.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching

from jaxvision.errors import InputError
from jaxvision.primitives import compile_as, varying_alike


def product(x: jax.Array, kernel: jax.Array, *, precision: jax.lax.PrecisionLike = None) -> jax.Array:
    """x [..., C] times kernel [C, O], both of one type: [..., O].

    precision: as of `jax.lax.dot_general`, for the derivatives too. Raises InputError for other shapes or types.
    """
    if kernel.ndim != 2 or x.shape[-1:] != kernel.shape[:1] or x.dtype != kernel.dtype:
        found = f"x {x.dtype}{list(x.shape)}, kernel {kernel.dtype}{list(kernel.shape)}"
        raise InputError(f"product: {found}, expected [..., C] and [C, O] of one type")
    precision = precision or jax.config.jax_default_matmul_precision
    return PRIMITIVE.bind(*varying_alike(x, kernel), precision=precision)


def _gradient_of_x(gradient, x, kernel, *, precision):
    return jnp.dot(gradient, kernel.T, precision=precision)


def _gradient_of_kernel(gradient, x, kernel, *, precision):
    examples = tuple(range(x.ndim - 1))
    return jnp.tensordot(x, gradient, (examples, examples), precision=precision)


def _batched(operands, axes, *, precision):
    return jax.vmap(partial(jnp.dot, precision=precision), axes)(*operands), 0


PRIMITIVE = Primitive("product")
PRIMITIVE.def_abstract_eval(lambda x, kernel, *, precision: x.update(shape=(*x.shape[:-1], kernel.shape[1])))
ad.defbilinear(PRIMITIVE, _gradient_of_x, _gradient_of_kernel)
batching.primitive_batchers[PRIMITIVE] = _batched
compile_as(PRIMITIVE, jnp.dot)
