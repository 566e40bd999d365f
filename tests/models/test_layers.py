"""The layers with parameters against those of linen: same names, same shapes, same numbers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.batch_axis import BATCH_AXIS
from jaxvision.errors import InputError
from jaxvision.models.blocks import BatchNorm, Conv, ConvTranspose, GroupNorm, LayerNorm

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles faster than threefry
IMAGES = np.random.default_rng(0).normal(size=(4, 7, 8, 6)).astype(np.float32)
PAIRS = [
    (Conv(4, 3), nn.Conv(4, (3, 3), padding="VALID")),
    (
        Conv(4, (3, 2), stride=2, padding=1, dilation=(2, 1), groups=2, use_bias=False),
        nn.Conv(4, (3, 2), 2, ((1, 1), (1, 1)), kernel_dilation=(2, 1), feature_group_count=2, use_bias=False),
    ),
    (Conv(4, 1, dtype=jnp.bfloat16), nn.Conv(4, (1, 1), dtype=jnp.bfloat16)),
    (ConvTranspose(4, 2, stride=2), nn.ConvTranspose(4, (2, 2), (2, 2), padding="VALID")),
    (
        # linen pads the images between which it has put zeros, by d (window - 1) - padding
        ConvTranspose(4, 3, stride=2, padding=1, output_padding=1),
        nn.ConvTranspose(4, (3, 3), (2, 2), padding=((1, 2), (1, 2))),
    ),
]


@pytest.mark.parametrize(("ours", "linen"), PAIRS)
def test_convolutions_are_linens(ours, linen):
    variables, reference = ours.init(KEY, IMAGES), linen.init(KEY, IMAGES)
    jax.tree.map(np.testing.assert_array_equal, variables, reference)
    biased = jax.tree.map(lambda leaf: leaf + 0.1, variables)
    output, expected = ours.apply(biased, IMAGES), linen.apply(biased, IMAGES)
    assert output.dtype == expected.dtype
    tolerance = 1e-5 if output.dtype == np.float32 else 2e-2
    np.testing.assert_allclose(np.float32(output), np.float32(expected), rtol=tolerance, atol=tolerance)


def test_batch_norm_is_linens_but_for_the_unbiased_running_variance():
    ours, linen = BatchNorm(momentum=0.8, epsilon=1e-3), nn.BatchNorm(momentum=0.8, epsilon=1e-3)
    variables = ours.init(KEY, IMAGES, train=True)
    jax.tree.map(np.testing.assert_array_equal, variables, linen.init(KEY, IMAGES, use_running_average=False))
    variables = jax.tree.map(lambda leaf: leaf + 0.3, variables)

    output, updated = ours.apply(variables, IMAGES, train=True, mutable="batch_stats")
    expected, reference = linen.apply(variables, IMAGES, use_running_average=False, mutable="batch_stats")
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        updated["batch_stats"]["mean"], reference["batch_stats"]["mean"], rtol=1e-5, atol=1e-6
    )
    unbiased = IMAGES.reshape(-1, 6).var(0, ddof=1)
    np.testing.assert_allclose(updated["batch_stats"]["var"], 0.8 * 1.3 + 0.2 * unbiased, rtol=1e-5)

    output = ours.apply(variables, IMAGES, train=False)
    np.testing.assert_allclose(
        output, linen.apply(variables, IMAGES, use_running_average=True), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("ours", "linen"),
    [
        (LayerNorm(), nn.LayerNorm()),
        (LayerNorm(epsilon=0.5), nn.LayerNorm(epsilon=0.5)),
        (GroupNorm(group_size=2), nn.GroupNorm(num_groups=None, group_size=2, epsilon=1e-5)),
        (GroupNorm(group_size=3, epsilon=0.5), nn.GroupNorm(num_groups=2, epsilon=0.5)),
    ],
)
def test_layer_and_group_norm_are_linens(ours, linen):
    variables = ours.init(KEY, IMAGES)
    jax.tree.map(np.testing.assert_array_equal, variables, linen.init(KEY, IMAGES))
    channels = jnp.arange(1.0, 7)
    variables = {"params": {"scale": channels, "bias": -channels}}
    for train in (False, True):
        output = ours.apply(variables, jnp.bfloat16(IMAGES), train=train)
        assert output.dtype == jnp.bfloat16
        output = ours.apply(variables, IMAGES, train=train)
        np.testing.assert_allclose(output, linen.apply(variables, IMAGES), rtol=1e-4, atol=1e-5)


def test_the_size_of_groups_has_to_divide_the_channels():
    with pytest.raises(InputError, match="6 channels do not divide into groups of 4"):
        GroupNorm(group_size=4).init(KEY, IMAGES)


def test_batch_norm_sees_the_whole_batch_on_every_device():
    norm = BatchNorm()
    variables = norm.init(KEY, IMAGES, train=True)

    def apply(images):
        return norm.apply(variables, images, train=True, mutable="batch_stats")

    whole, updated = apply(IMAGES)
    halves = IMAGES.reshape(2, 2, 7, 8, 6)
    parts, updates = jax.vmap(apply, axis_name=BATCH_AXIS)(halves)
    np.testing.assert_allclose(parts.reshape(whole.shape), whole, rtol=1e-5, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-5, atol=1e-6), updates, updated)


def test_batch_norm_ignores_masked_rows():
    norm = BatchNorm()
    variables = norm.init(KEY, IMAGES, train=True)
    padded = np.concatenate([IMAGES, np.full((2, 7, 8, 6), np.nan, np.float32)])
    mask = np.array([1, 1, 1, 1, 0, 0])
    output, updated = norm.apply(variables, padded, train=True, mask=mask, mutable="batch_stats")
    expected, reference = norm.apply(variables, IMAGES, train=True, mutable="batch_stats")
    np.testing.assert_allclose(output[:4], expected, rtol=1e-5, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), updated, reference)


def test_bfloat16_batch_norm_keeps_float32_statistics():
    norm = BatchNorm()
    variables = norm.init(KEY, IMAGES, train=True)
    output, updated = norm.apply(variables, jnp.bfloat16(IMAGES), train=True, mutable="batch_stats")
    assert output.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(updated)} == {np.dtype(np.float32)}
