import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.ops.box_deltas import decode_deltas, encode_deltas
from tests.ops.numerics import assert_close, assert_differentiates, compiled, values_and_gradients

RANDOM = settings(max_examples=300, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = [(), (5,), (2, 3)]
WEIGHTS = [(1, 1, 1, 1), (10, 10, 5, 5)]


def draw_boxes(shape, rng):
    corner, sides = rng.uniform(-5, 5, (*shape, 2)), rng.uniform(1, 9, (*shape, 2))
    return np.concatenate([corner, corner + sides], axis=-1).astype(np.float32)


def draw(shape, seed):
    """Boxes, anchors and deltas [*shape, 4], the deltas on both sides of the largest scale."""
    rng = np.random.default_rng(seed)
    deltas = rng.uniform(-1, 1, (*shape, 4))
    deltas[..., 2:] += np.where(rng.random((*shape, 2)) < 0.8, 0, 6)
    return draw_boxes(shape, rng), draw_boxes(shape, rng), deltas.astype(np.float32)


def plain_encode(boxes, anchors, weights):
    sides, anchor_sides = (x[..., 2:] - x[..., :2] for x in (boxes, anchors))
    shift = ((boxes[..., :2] + boxes[..., 2:]) - (anchors[..., :2] + anchors[..., 2:])) / 2
    deltas = jnp.concatenate([shift / anchor_sides, jnp.log(sides) - jnp.log(anchor_sides)], axis=-1)
    return deltas * jnp.broadcast_to(jnp.array(weights, deltas.dtype), deltas.shape)


def plain_decode(deltas, anchors, weights):
    deltas = deltas / jnp.broadcast_to(jnp.array(weights, deltas.dtype), deltas.shape)
    anchor_sides = anchors[..., 2:] - anchors[..., :2]
    sides = anchor_sides * jnp.exp(jnp.minimum(deltas[..., 2:], math.log(62.5)))
    centres = (anchors[..., :2] + anchors[..., 2:]) / 2 + deltas[..., :2] * anchor_sides
    return jnp.concatenate([centres - sides / 2, centres + sides / 2], axis=-1)


@functools.cache
def everything(weights):
    @compiled
    def run(boxes, anchors, deltas):
        ours = functools.partial(encode_deltas, weights=weights), functools.partial(decode_deltas, weights=weights)
        plain = functools.partial(plain_encode, weights=weights), functools.partial(plain_decode, weights=weights)
        return [
            (values_and_gradients(encode, boxes, anchors), values_and_gradients(decode, deltas, anchors))
            for encode, decode in (ours, plain)
        ]

    return run


@RANDOM
@given(shape=st.sampled_from(SHAPES), weights=st.sampled_from(WEIGHTS), seed=SEEDS)
def test_values_and_gradients_equal_the_plain_formulas(shape, weights, seed):
    boxes, anchors, deltas = draw(shape, seed)
    assert_close(*everything(weights)(boxes, anchors, deltas * np.array(weights, np.float32)))


@pytest.mark.parametrize("weights", WEIGHTS)
def test_derivatives(weights):
    boxes, anchors, deltas = draw((150,), seed=0)
    assert_differentiates(functools.partial(encode_deltas, weights=weights), boxes, anchors)
    assert_differentiates(functools.partial(decode_deltas, weights=weights), deltas * np.array(weights), anchors)


@RANDOM
@given(shape=st.sampled_from(SHAPES), seed=SEEDS)
def test_decoding_inverts_encoding(shape, seed):
    boxes, anchors, _ = draw(shape, seed)
    assert_close(round_trip(boxes, anchors), boxes)


@compiled
def round_trip(boxes, anchors):
    return decode_deltas(encode_deltas(boxes, anchors, weights=(10, 10, 5, 5)), anchors, weights=(10, 10, 5, 5))


def test_by_hand():
    anchor, box = jnp.array([0.0, 0, 4, 2]), jnp.array([2.0, 1, 10, 2])  # centres (2, 1) and (6, 1.5)
    np.testing.assert_allclose(encode_deltas(box, anchor), [1, 0.25, math.log(2), -math.log(2)], rtol=1e-6)
    np.testing.assert_allclose(decode_deltas(jnp.zeros(4), anchor), anchor)
    grown = decode_deltas(jnp.full(4, 100.0), anchor)
    np.testing.assert_allclose(grown[2:] - grown[:2], [250, 125], rtol=1e-6)


def test_padding_has_finite_deltas_and_gradients():
    box, padding = jnp.array([2.0, 1, 10, 2]), jnp.zeros(4)
    with jax.debug_nans(True):
        for pair in ((box, padding), (padding, box), (padding, padding)):
            deltas, gradients = values_and_gradients(encode_deltas, *pair)
            assert np.isfinite(deltas).all() and np.isfinite(gradients).all()


def test_deltas_of_every_class():
    boxes, anchors, _ = draw((5, 1), 0)
    deltas = jnp.asarray(draw((5, 3), 1)[2], jnp.bfloat16)
    decoded = decode_deltas(deltas, anchors)
    assert (decoded.shape, decoded.dtype) == ((5, 3, 4), jnp.bfloat16)
    np.testing.assert_array_equal(decoded[:, 1], decode_deltas(deltas[:, 1], anchors[:, 0]))
    assert encode_deltas(jnp.asarray(boxes, int), anchors).dtype == jnp.float32


@pytest.mark.parity
@RANDOM
@given(weights=st.sampled_from(WEIGHTS), seed=SEEDS)
def test_deltas_equal_torchvision(weights, seed):
    import torch

    from scripts.benchmarks.torch_oracle import torchvision_and_operators

    coder = torchvision_and_operators()[0].models.detection._utils.BoxCoder(weights)
    arrays = boxes, anchors, deltas = draw((5,), seed)
    deltas *= np.array(weights, np.float32)
    boxes, anchors, deltas = (torch.from_numpy(array).requires_grad_() for array in arrays)
    encoded, decoded = coder.encode_single(boxes, anchors), coder.decode_single(deltas, anchors)
    cotangent = torch.cos(torch.arange(20.0)).reshape(5, 4)
    expected = [
        (out.detach(), torch.autograd.grad(out, inputs, cotangent))
        for out, inputs in ((encoded, (boxes, anchors)), (decoded, (deltas, anchors)))
    ]
    assert_close(everything(weights)(*arrays)[0], tuple(expected))
