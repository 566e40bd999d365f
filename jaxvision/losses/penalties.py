"""Penalties R(W) on the size of parameters, to be added to a loss as lambda R(W).

A penalty takes a tree of parameters and a mask of those it counts: a tree of the same structure with a bool for
each array, such as `training.masks` makes, or a function from an array's path, such as ("head", "bias"), to a
bool. Without a mask it counts all. The penalty is a scalar, float32 (float64 for float64 parameters). Raises
InputError for any other mask.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.errors import InputError


def l1_penalty(params, *, mask=None) -> jax.Array:
    """Sum of |w| (Tibshirani 1996, the lasso); its gradient is 0 at 0."""
    return _sum_over(params, mask, lambda w: w * jnp.sign(w))  # jnp.abs takes 1 for its derivative at 0


def l2_penalty(params, *, mask=None) -> jax.Array:
    """Sum of w**2 (Hoerl and Kennard 1970, ridge regression); its gradient is 2 w."""
    return _sum_over(params, mask, jnp.square)


def _sum_over(params, mask, term):
    leaves = zip(jax.tree.leaves(params), jax.tree.leaves(_as_tree(mask, params)))
    return sum((jnp.sum(term(_wide(leaf))) for leaf, counts in leaves if counts), start=jnp.float32(0))


def _as_tree(mask, params):
    if mask is None:
        return jax.tree.map(lambda _: True, params)
    if callable(mask):
        mask = jax.tree.map_with_path(lambda path, _: mask(_names(path)), params)
    # A function of all parameters, which optax takes for a mask, would here give trees where bools should be.
    if jax.tree.structure(mask) != jax.tree.structure(params):
        raise InputError("penalty: the mask has another structure than the parameters, expected a bool for each")
    if not all(isinstance(counts, (bool, np.bool_)) for counts in jax.tree.leaves(mask)):
        raise InputError("penalty: the mask holds something else than a bool for each array of the parameters")
    return mask


def _names(path):
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in path)


def _wide(leaf):
    return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
