"""Attention (Vaswani et al. 2017) over tokens [..., T, D]; heads are one more leading axis.

`jax.nn.dot_product_attention` is not used: it is this same computation unless cuDNN is asked for by name, and cuDNN
takes half precision only. Neither returns the weights, or zeros for a query that may attend to nothing.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError


def attention(
    queries: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    *,
    mask: jax.Array | None = None,
    return_weights: bool = False,
) -> jax.Array | tuple[jax.Array, jax.Array]:
    """softmax(Q K^T / sqrt(d)) V (Vaswani et al. 2017, eq. 1).

    queries [..., T, d], keys [..., S, d], values [..., S, e] -> [..., T, e] in the dtype of values; scores and
    softmax are float32, or float64 if queries are. The boolean mask, broadcast to [..., T, S], is True where a
    query may attend to a key (`torch.nn.MultiheadAttention` means the opposite); a query without any key gets
    zeros. With return_weights also the softmax [..., T, S]. Raises InputError if d or S disagree.
    """
    if queries.shape[-1] != keys.shape[-1] or keys.shape[-2] != values.shape[-2]:
        shapes = ", ".join(str(list(x.shape)) for x in (queries, keys, values))
        raise InputError(f"attention: shapes {shapes}, expected [..., T, d], [..., S, d], [..., S, e]")
    dtype = jnp.promote_types(queries.dtype, jnp.float32)
    scores = jnp.einsum("...td,...sd->...ts", queries, keys, preferred_element_type=dtype)
    weights = _masked_softmax(scores / math.sqrt(queries.shape[-1]), mask)
    mixed = jnp.einsum("...ts,...se->...te", weights.astype(values.dtype), values, preferred_element_type=dtype)
    mixed = mixed.astype(values.dtype)
    return (mixed, weights) if return_weights else mixed


def _masked_softmax(scores, mask):
    if mask is None:
        return jax.nn.softmax(scores)
    mask = jnp.broadcast_to(mask, scores.shape)
    # Not -inf, which makes a row without any key, and its gradient, NaN.
    weights = jax.nn.softmax(jnp.where(mask, scores, jnp.finfo(scores.dtype).min))
    return jnp.where(mask, weights, 0)


def split_heads(tokens: jax.Array, heads: int) -> jax.Array:
    """[..., T, D] -> [..., heads, T, D / heads]. Raises InputError if heads does not divide D."""
    *batch, length, width = tokens.shape
    if width % heads:
        raise InputError(f"attention: {heads} heads do not divide a width of {width}")
    return jnp.swapaxes(tokens.reshape(*batch, length, heads, width // heads), -3, -2)


def merge_heads(tokens: jax.Array) -> jax.Array:
    """[..., heads, T, d] -> [..., T, heads * d]: the inverse of `split_heads`."""
    *batch, heads, length, width = tokens.shape
    return jnp.swapaxes(tokens, -3, -2).reshape(*batch, length, heads * width)


def multi_head_attention(
    tokens: jax.Array,
    qkv_kernel: jax.Array,
    qkv_bias: jax.Array,
    out_kernel: jax.Array,
    out_bias: jax.Array,
    *,
    heads: int,
    mask: jax.Array | None = None,
    return_weights: bool = False,
) -> jax.Array | tuple[jax.Array, jax.Array]:
    """Self-attention of several heads over tokens [..., T, D] (Vaswani et al. 2017, 3.2.2).

    qkv_kernel [D, 3 D] and qkv_bias [3 D] make queries, keys and values side by side, out_kernel [D, D] and
    out_bias [D] mix the heads: `in_proj_weight.T`, `in_proj_bias`, `out_proj.weight.T` and `out_proj.bias` of
    `torch.nn.MultiheadAttention`. The weights are [..., heads, T, T]; mask and return_weights as in `attention`.
    Raises InputError if the kernels do not fit D, or heads does not divide it.
    """
    width = tokens.shape[-1]
    if (qkv_kernel.shape, out_kernel.shape) != ((width, 3 * width), (width, width)):
        raise InputError(
            f"multi-head attention: kernels {list(qkv_kernel.shape)} and {list(out_kernel.shape)}, "
            f"expected [{width}, {3 * width}] and [{width}, {width}]"
        )
    projected = jnp.split(_affine(tokens, qkv_kernel, qkv_bias), 3, axis=-1)
    queries, keys, values = (split_heads(x, heads) for x in projected)
    mixed, weights = attention(queries, keys, values, mask=mask, return_weights=True)
    out = _affine(merge_heads(mixed), out_kernel, out_bias)
    return (out, weights) if return_weights else out


def _affine(x, kernel, bias):
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    product = jnp.matmul(x, kernel.astype(x.dtype), preferred_element_type=dtype)
    return (product + jnp.broadcast_to(bias, product.shape)).astype(x.dtype)


def attention_rollout(layer_weights: Sequence[jax.Array]) -> jax.Array:
    """How much of every input token reaches each token of the last layer (Abnar & Zuidema 2020, 3, eq. 1).

    layer_weights, first layer first, are [..., heads, T, T] -> [..., T, T], rows sum to 1. The heads are
    averaged, and the residual connection counts as an equal share of attention to oneself. In a ViT the first
    row without its first element, reshaped to the grid of patches, is the map of the class token. Raises
    InputError if there is no layer.
    """
    if len(layer_weights) == 0:
        raise InputError("attention rollout: no layers, expected the weights of at least one")

    def with_residual(weights):
        weights = weights.mean(-3)
        return (weights + jnp.broadcast_to(jnp.eye(weights.shape[-1], dtype=weights.dtype), weights.shape)) / 2

    return functools.reduce(lambda below, weights: weights @ below, map(with_residual, layer_weights))
