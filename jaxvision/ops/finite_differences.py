"""Derivatives by differences, to check those that are derived: slow, and right to a few digits.

A central difference errs by h**2 / 6 times the third derivative, a forward one by h / 2 times the second, and both
by the rounding of f divided by h. In float64 (`jax.enable_x64`) h = 1e-4 leaves a central difference 8 digits, in
float32 only 3. Keep 10 h away from kinks.
"""

import functools

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxvision.errors import InputError


def central_difference(f, x, *, h: float = 1e-4):
    """(f(x + h e) - f(x - h e)) / 2h for the unit vector e of each element: the gradient of f, a tree like x.

    f maps a tree of floats to a scalar. The elements take turns in one compiled loop: thousands need no more memory
    than one. Raises InputError where f gives no scalar or x is not of floats.
    """
    return _gradient(functools.partial(directional_difference, f, h=h), f, x)


def forward_difference(f, x, *, h: float = 1e-4):
    """(f(x + h e) - f(x)) / h for each element, otherwise as `central_difference`."""
    here = f(x)
    return _gradient(lambda x, direction: (f(_moved(x, h, direction)) - here) / h, f, x)


def directional_difference(f, x, direction, *, h: float = 1e-4):
    """(f(x + h d) - f(x - h d)) / 2h: the derivative at the tree x along d, a tree like x, f giving any array."""
    return (f(_moved(x, h, direction)) - f(_moved(x, -h, direction))) / (2 * h)


def relative_error(a, b) -> jax.Array:
    """Largest |a - b| of an array, divided by the largest |a| or |b| in it; of trees of arrays, the worst.

    Two arrays of zeros differ by 0. For each array as a whole, because a difference cannot resolve its small
    elements; where NaN is, the error is NaN.
    """
    return jnp.max(jnp.stack(jax.tree.leaves(jax.tree.map(_relative_error, a, b))))


def _gradient(slope, f, x):
    """slope(x, e) for the unit vector e of every element of x."""
    if not all(jnp.issubdtype(jnp.result_type(leaf), jnp.floating) for leaf in jax.tree.leaves(x)):
        raise InputError("finite differences: x holds arrays that are not of floats")
    if (shape := jax.eval_shape(f, x).shape) != ():
        raise InputError(f"finite differences: f gives shape {list(shape)}, expected a scalar")
    flat, unflatten = ravel_pytree(x)

    def slope_at(element):
        return slope(x, unflatten(jnp.zeros_like(flat).at[element].set(1)))

    return unflatten(jax.lax.map(slope_at, jnp.arange(flat.size)).astype(flat.dtype))


def _moved(x, by, direction):
    return jax.tree.map(lambda x, d: x + by * d, x, direction)


def _relative_error(a, b):
    difference, *sizes = (jnp.max(jnp.abs(array), initial=0) for array in (a - b, a, b))
    largest = jnp.maximum(*sizes)
    return difference / jnp.where(largest == 0, 1, largest)
