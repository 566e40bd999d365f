import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops.attention import (
    attention,
    attention_rollout,
    merge_heads,
    multi_head_attention,
    split_heads,
)
from jaxvision.ops.position_encodings import sinusoidal_encoding
from tests.ops.numerics import assert_close, assert_differentiates, compiled, values_and_gradients

RANDOM = settings(max_examples=300, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = [((), 5, 6, 4, 3), ((3,), 4, 4, 2, 2), ((2, 2), 3, 5, 3, 4)]  # batch, T, S, d, e
MASKED = [None, 0.0, 0.5, 1.0]  # how much


def draw_attention(shape, masked, seed):
    rng = np.random.default_rng(seed)
    batch, queries, keys, width, value_width = shape
    sizes = [(queries, width), (keys, width), (keys, value_width)]
    arrays = [rng.normal(0, 0.7, (*batch, *size)).astype(np.float32) for size in sizes]
    return arrays, None if masked is None else rng.random((*batch, queries, keys)) >= masked


def softmax_weights(queries, keys, mask):
    weights = np.exp(queries @ keys.swapaxes(-1, -2) / math.sqrt(queries.shape[-1]))
    weights = weights if mask is None else weights * mask
    sums = weights.sum(-1, keepdims=True)
    return weights / np.where(sums > 0, sums, 1)


def attention_by_hand(queries, keys, values, mask):
    """The output and the gradients of its weighted sum, derived on paper."""
    queries, keys, values = (x.astype(np.float64) for x in (queries, keys, values))
    weights = softmax_weights(queries, keys, mask)
    out = weights @ values
    d_out = np.cos(np.arange(out.size)).reshape(out.shape)
    d_weights = d_out @ values.swapaxes(-1, -2)
    d_scores = weights * (d_weights - (weights * d_weights).sum(-1, keepdims=True)) / math.sqrt(queries.shape[-1])
    return out, (d_scores @ keys, d_scores.swapaxes(-1, -2) @ queries, weights.swapaxes(-1, -2) @ d_out)


@compiled
def our_attention(arrays, mask):
    return values_and_gradients(functools.partial(attention, mask=mask), *arrays)


@RANDOM
@given(shape=st.sampled_from(SHAPES), masked=st.sampled_from(MASKED), seed=SEEDS)
def test_attention_and_gradients_equal_the_formula(shape, masked, seed):
    arrays, mask = draw_attention(shape, masked, seed)
    assert_close(our_attention(arrays, mask), attention_by_hand(*arrays, mask))


@pytest.mark.parametrize("masked", MASKED)
@pytest.mark.parametrize("shape", SHAPES)
def test_derivatives_of_attention(shape, masked):
    many = ((30, *shape[0]), *shape[1:])  # 30 random configurations at once, for one compilation
    arrays, mask = draw_attention(many, masked, seed=0)
    assert_differentiates(functools.partial(attention, mask=mask), *arrays)


def test_two_tokens_by_hand():
    tokens = jnp.eye(2)
    values = jnp.array([[1.0, 2.0], [3.0, 6.0]])
    out, weights = attention(tokens, tokens, values, return_weights=True)
    own = 0.669761  # e^(1/sqrt 2) / (e^(1/sqrt 2) + 1)
    np.testing.assert_allclose(weights, [[own, 1 - own], [1 - own, own]], atol=1e-6)
    np.testing.assert_allclose(out, [[1.660478, 3.320956], [2.339522, 4.679044]], atol=4e-6)


@RANDOM
@given(shape=st.sampled_from(SHAPES), masked=st.sampled_from(MASKED), seed=SEEDS)
def test_weights_sum_to_one_over_the_keys_allowed(shape, masked, seed):
    arrays, mask = draw_attention(shape, masked, seed)
    weights = np.asarray(our_weights(arrays, mask))
    assert_close(weights, softmax_weights(*arrays[:2], mask).astype(np.float32))
    allowed = np.ones(weights.shape, bool) if mask is None else mask
    assert (weights[~allowed] == 0).all()
    np.testing.assert_allclose(weights.sum(-1), allowed.any(-1), atol=1e-6)


@compiled
def our_weights(arrays, mask):
    return attention(*arrays, mask=mask, return_weights=True)[1]


def test_what_is_masked_changes_nothing():
    (queries, keys, values), _ = draw_attention(SHAPES[1], None, seed=0)
    mask = np.array([True, True, False, True]).reshape(1, 1, 4)
    ours = functools.partial(our_attention, mask=mask)
    out, gradients = ours([queries, keys, values])
    keys[:, 2], values[:, 2] = 1e3, -1e3
    other, other_gradients = ours([queries, keys, values])
    np.testing.assert_array_equal(out, other)
    for gradient, other_gradient in zip(gradients[1:], other_gradients[1:]):
        np.testing.assert_array_equal(gradient, other_gradient)
        assert (gradient[:, 2] == 0).all()


def test_a_query_without_keys_has_zeros_and_no_nan():
    arrays, mask = draw_attention(SHAPES[1], 0.0, seed=0)
    mask[:, 1] = False
    with jax.debug_nans(True):
        out, gradients = our_attention(arrays, mask)
    assert (out[:, 1] == 0).all() and (gradients[0][:, 1] == 0).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_large_scores_do_not_overflow():
    tokens = 1e4 * jnp.eye(3)
    np.testing.assert_array_equal(attention(tokens, tokens, tokens, mask=jnp.tri(3, dtype=bool)), tokens)


def test_half_precision_in_and_out():
    arrays, mask = draw_attention(SHAPES[2], 0.5, seed=0)
    halves = [jnp.asarray(array, jnp.bfloat16) for array in arrays]
    out, weights = attention(*halves, mask=mask, return_weights=True)
    exact, exact_weights = attention(*(half.astype(jnp.float32) for half in halves), mask=mask, return_weights=True)
    assert (out.dtype, weights.dtype) == (jnp.bfloat16, jnp.float32)
    np.testing.assert_allclose(weights, exact_weights, atol=1e-6)
    np.testing.assert_allclose(out.astype(jnp.float32), exact, atol=2**-7 * np.abs(exact).max())


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4), (2, 4)), ((2, 3), (2, 3), (3, 3))])
def test_shapes_that_disagree(shapes):
    with pytest.raises(InputError, match="expected"):
        attention(*map(jnp.zeros, shapes))


HEADS = [((), 3, 4, 1), ((2,), 4, 6, 3), ((3,), 2, 4, 2)]  # batch, T, D, heads


def draw_multi_head(shape, masked, seed):
    rng = np.random.default_rng(seed)
    batch, length, width, heads = shape
    sizes = [(*batch, length, width), (width, 3 * width), (3 * width,), (width, width), (width,)]
    arrays = [rng.normal(0, 0.5, size).astype(np.float32) for size in sizes]
    mask = None if masked is None else rng.random((*batch, heads, length, length)) >= masked
    if mask is not None:
        mask |= np.eye(length, dtype=bool)  # the library means something else by a query without keys
    return arrays, mask


def library_multi_head(tokens, qkv_kernel, qkv_bias, out_kernel, out_bias, *, heads, mask):
    length, width = tokens.shape[-2:]
    rows = tokens.reshape(-1, width)
    projected = (rows @ qkv_kernel + qkv_bias[None]).reshape(-1, length, 3, heads, width // heads)
    mask = None if mask is None else mask.reshape(-1, heads, length, length)
    mixed = jax.nn.dot_product_attention(*jnp.unstack(projected, axis=2), mask=mask)
    return (mixed.reshape(-1, width) @ out_kernel + out_bias[None]).reshape(tokens.shape)


@functools.cache
def both_multi_heads(heads):
    @compiled
    def run(arrays, mask):
        return [
            values_and_gradients(functools.partial(function, heads=heads, mask=mask), *arrays)
            for function in (multi_head_attention, library_multi_head)
        ]

    return run


@RANDOM
@given(shape=st.sampled_from(HEADS), masked=st.sampled_from([None, 0.5]), seed=SEEDS)
def test_multi_head_attention_and_gradients_equal_the_library(shape, masked, seed):
    assert_close(*both_multi_heads(shape[-1])(*draw_multi_head(shape, masked, seed)))


@pytest.mark.parametrize("masked", [None, 0.5])
@pytest.mark.parametrize("shape", HEADS)
def test_derivatives_of_multi_head_attention(shape, masked):
    configurations = [draw_multi_head(shape, masked, seed) for seed in range(50)]
    arrays = [np.stack(arrays) for arrays in zip(*(arrays for arrays, _ in configurations))]
    masks = None if masked is None else np.stack([mask for _, mask in configurations])

    def attend(arrays, mask):
        return multi_head_attention(*arrays, heads=shape[-1], mask=mask)

    assert_differentiates(lambda *arrays: jax.vmap(attend)(arrays, masks), *arrays)


@RANDOM
@given(shape=st.sampled_from(HEADS), seed=SEEDS)
def test_heads_split_and_merge(shape, seed):
    *size, heads = *shape[0], *shape[1:]
    tokens = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    split = split_heads(tokens, heads)
    width = size[-1] // heads
    for head in range(heads):
        np.testing.assert_array_equal(split[..., head, :, :], tokens[..., head * width : (head + 1) * width])
    np.testing.assert_array_equal(merge_heads(split), tokens)


def test_the_order_of_tokens_shows_only_through_positions():
    (tokens, *weights), _ = draw_multi_head(((), 6, 8, 2), None, seed=0)
    order = np.array([3, 1, 5, 0, 4, 2])
    positions = sinusoidal_encoding(jnp.arange(6), 8)

    def attend(tokens):
        return multi_head_attention(tokens, *weights, heads=2)

    assert_close(attend(tokens[order]), attend(tokens)[order])
    moved, still = attend(tokens[order] + positions), attend(tokens + positions)[order]
    assert np.abs(moved - still).max() > 0.1 * np.abs(still).max()


def test_multi_head_attention_returns_the_weights_of_every_head():
    arrays, mask = draw_multi_head(HEADS[1], 0.5, seed=0)
    out, weights = multi_head_attention(*arrays, heads=3, mask=mask, return_weights=True)
    assert_close(out, multi_head_attention(*arrays, heads=3, mask=mask))
    assert (weights.shape, out.dtype) == ((2, 3, 4, 4), jnp.float32)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    assert multi_head_attention(jnp.asarray(arrays[0], jnp.bfloat16), *arrays[1:], heads=3).dtype == jnp.bfloat16


@pytest.mark.parametrize(("columns", "heads", "complaint"), [(12, 3, "3 heads do not divide"), (8, 2, "kernels")])
def test_impossible_heads(columns, heads, complaint):
    with pytest.raises(InputError, match=complaint):
        multi_head_attention(
            jnp.zeros((3, 4)), jnp.zeros((4, columns)), jnp.zeros(columns), jnp.eye(4), jnp.zeros(4), heads=heads
        )


STACKS = [(1, (), 2, 3), (2, (), 1, 4), (3, (2,), 2, 3), (4, (), 3, 2)]  # layers, batch, heads, T


def draw_layers(stack, seed):
    layers, batch, heads, length = stack
    scores = np.random.default_rng(seed).normal(size=(layers, *batch, heads, length, length))
    return (np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)).astype(np.float32)


def rollout_of_every_path(*layers):
    """The sum over all ways up from an input token, layer by layer, of the product of their weights."""
    length = layers[0].shape[-1]
    reached = jnp.broadcast_to(jnp.eye(length), (*layers[0].shape[:-3], length, length))
    for weights in layers:
        mean = sum(weights[..., head, :, :] for head in range(weights.shape[-3])) / weights.shape[-3]
        reached = 0.5 * reached + 0.5 * jnp.einsum("...ts,...si->...ti", mean, reached)
    return reached


@compiled
def both_rollouts(layers):
    functions = (lambda *layers: attention_rollout(layers), rollout_of_every_path)
    return [values_and_gradients(function, *layers) for function in functions]


@RANDOM
@given(stack=st.sampled_from(STACKS), seed=SEEDS)
def test_rollout_and_gradients_equal_the_recursion(stack, seed):
    ours, reference = both_rollouts(list(draw_layers(stack, seed)))
    assert_close(ours, reference)
    np.testing.assert_allclose(ours[0].sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("stack", STACKS)
def test_derivatives_of_rollout(stack):
    layers, batch, *rest = stack
    assert_differentiates(
        lambda *layers: attention_rollout(layers), *draw_layers((layers, (75, *batch), *rest), seed=0)
    )


def test_rollout_by_hand():
    swap, both = jnp.array([[[0.0, 1.0], [1.0, 0.0]]]), jnp.array([[[0.5, 0.5], [0.0, 1.0]]])
    np.testing.assert_allclose(attention_rollout([swap]), [[0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(attention_rollout([both]), [[0.75, 0.25], [0, 1]])
    np.testing.assert_allclose(attention_rollout([both, both]), [[0.5625, 0.4375], [0, 1]])


def test_rollout_of_nothing():
    with pytest.raises(InputError, match="no layers"):
        attention_rollout([])


@pytest.mark.parity
@RANDOM
@given(shape=st.sampled_from(SHAPES), masked=st.sampled_from([None, 0.0, 0.5]), seed=SEEDS)
def test_attention_equals_torch(shape, masked, seed):
    import torch

    arrays, mask = draw_attention(shape, masked, seed)
    if mask is not None:
        mask[..., 0] = True  # torch has NaN for a query without keys
    tensors = [torch.from_numpy(array).requires_grad_() for array in arrays]
    torch_mask = None if mask is None else torch.from_numpy(mask)
    expected = torch.nn.functional.scaled_dot_product_attention(*tensors, attn_mask=torch_mask)
    assert_close(our_attention(arrays, mask), (expected.detach(), gradients_in_torch(expected, tensors)))


@functools.cache
def our_multi_head(heads):
    return compiled(
        lambda arrays, mask: values_and_gradients(
            functools.partial(multi_head_attention, heads=heads, mask=mask), *arrays
        )
    )


@pytest.mark.parity
@RANDOM
@given(shape=st.sampled_from(HEADS), masked=st.sampled_from([None, 0.5]), seed=SEEDS)
def test_multi_head_attention_equals_torch(shape, masked, seed):
    import torch

    arrays, mask = draw_multi_head(shape, masked, seed)
    tokens, *parameters = [torch.from_numpy(array).requires_grad_() for array in arrays]
    _, length, width, heads = shape
    torch_mask = None if mask is None else torch.from_numpy(~mask.reshape(-1, length, length))
    layer = torch.nn.MultiheadAttention(width, heads, batch_first=True)
    qkv_kernel, qkv_bias, out_kernel, out_bias = parameters
    weights = {
        "in_proj_weight": qkv_kernel.T,
        "in_proj_bias": qkv_bias,
        "out_proj.weight": out_kernel.T,
        "out_proj.bias": out_bias,
    }
    expected, _ = torch.func.functional_call(layer, weights, (tokens,) * 3, {"attn_mask": torch_mask})
    reference = (expected.detach(), gradients_in_torch(expected, [tokens, *parameters]))
    assert_close(our_multi_head(heads)(arrays, mask), reference)


def gradients_in_torch(out, tensors):
    import torch

    cotangent = torch.cos(torch.arange(out.numel(), dtype=out.dtype)).reshape(out.shape)
    return torch.autograd.grad(out, tensors, cotangent)
