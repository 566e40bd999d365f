"""Convolution as a trilinear form, closed under differentiation.

<output, conv2d(images, kernel)> is linear in each of its three arrays. Its derivatives with respect to one of
them, `convolve("output", ...)`, `convolve("images", ...)` and `convolve("kernel", ...)`, are the convolution and
its two gradients; each is bilinear, and its transposes are the other two. So derivatives of any order and kind
(vjp, jvp, Hessians) consist of these three primitives and keep nothing alive but their arrays, and each primitive
can be computed in the way that is best on a platform: XLA's own convolution, or on a CPU the forms of `cpu`.

images [B, H, W, C], kernel [h, w, C / groups, O], output [B, H', W', O], all of one type.
"""

import functools

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching

from jaxvision.ops.convolution.cpu import fastest_form
from jaxvision.ops.convolution.geometry import ROLES, Geometry
from jaxvision.ops.convolution.library import library_form
from jaxvision.primitives import compile_as, varying_alike


def convolve(wanted: str, geometry: Geometry, **arrays: jax.Array) -> jax.Array:
    """The array in the role `wanted`, one of `ROLES`, from those in the two others."""
    operands = varying_alike(*(arrays[role] for role in ROLES if role != wanted))
    return PRIMITIVES[wanted].bind(*operands, geometry=geometry)


def _batched(wanted, operands, mapped_axes, *, geometry):
    """A mapped axis becomes part of an axis of the arrays that there is already, so that one convolution does all.

    Where one operand is mapped, it shares an axis that is no concern of the other operand: images and output
    their batch, kernel and output their features, images and kernel their channels. Where both are, or where
    groups are in the way, every member of the mapping becomes a group.
    """
    arrays = dict(zip((role for role in ROLES if role != wanted), operands))
    axes = dict(zip(arrays, mapped_axes))
    mapped = [role for role, axis in axes.items() if axis is not None]
    members = next(arrays[role].shape[axes[role]] for role in mapped)
    if len(mapped) == 1 and {*mapped, wanted} == {"images", "output"}:
        fold_into = dict.fromkeys(ROLES, 0)
    elif len(mapped) == 1 and geometry.groups == 1:
        pair = {*mapped, wanted}
        fold_into = {"images": 3, "output": 3, "kernel": 3 if pair == {"kernel", "output"} else 2}
    else:
        for role in arrays.keys() - mapped:
            arrays[role], axes[role] = jnp.broadcast_to(arrays[role], (members, *arrays[role].shape)), 0
        fold_into = dict.fromkeys(ROLES, 3)
        geometry = geometry._replace(groups=geometry.groups * members)
    folded = {
        role: array if axes[role] is None else _fold(array, axes[role], fold_into[role])
        for role, array in arrays.items()
    }
    return _unfold(convolve(wanted, geometry, **folded), fold_into[wanted], members)


def _fold(array, mapped_axis, into):
    """Merge the mapped axis into axis `into` of the rest, members outermost."""
    array = jnp.moveaxis(array, mapped_axis, into)
    members, size = array.shape[into : into + 2]
    return array.reshape(*array.shape[:into], members * size, *array.shape[into + 2 :])


def _unfold(array, axis, members):
    """(array with the members on an axis of their own again, that axis)."""
    size = array.shape[axis] // members
    return array.reshape(*array.shape[:axis], members, size, *array.shape[axis + 1 :]), axis


def _transpose_rule(wanted, sought, given):
    """How a cotangent of `wanted` becomes one of the operand `sought`, with the operand `given`."""

    def rule(cotangent, first, second, *, geometry):
        known = dict(zip((role for role in ROLES if role != wanted), (first, second)))[given]
        return convolve(sought, geometry, **{wanted: cotangent, given: known})

    return rule


def _make_primitive(wanted):
    primitive = Primitive(f"convolve_{wanted}")
    operands = tuple(role for role in ROLES if role != wanted)

    def abstract(first, second, *, geometry):
        return first.update(shape=geometry.shape(wanted, **dict(zip(operands, (first, second)))))

    def computed_by(form):
        return lambda first, second, *, geometry: form(wanted, geometry, **dict(zip(operands, (first, second))))

    primitive.def_abstract_eval(abstract)
    ad.defbilinear(primitive, _transpose_rule(wanted, *operands), _transpose_rule(wanted, *operands[::-1]))
    batching.primitive_batchers[primitive] = functools.partial(_batched, wanted)
    compile_as(primitive, computed_by(library_form))
    compile_as(primitive, computed_by(fastest_form), platform="cpu")
    return primitive


PRIMITIVES = {wanted: _make_primitive(wanted) for wanted in ROLES}
