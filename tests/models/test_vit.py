import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.ops.position_encodings import resize_positions, sine_cosine_2d
from tests.ops.numerics import assert_close, compiled

KEY = jax.random.key(0, impl="unsafe_rbg")
SMALL = {"patch": 4, "width": 16, "depth": 2, "heads": 2, "grid": (2, 3), "num_classes": 5}


def images_of(height, width):
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, height, width, 3)), jnp.float32)


@functools.cache
def small(**fields):
    """A model, and variables for its grid."""
    model = models.create("vit_ti_16", **{**SMALL, **fields})
    return model, compiled(functools.partial(models.initialise, model, images=images_of(8, 12)))(KEY)


def with_params(variables, **params):
    return {"params": {**variables["params"], **params}}


@functools.cache
def compiled_taps(model, **options):
    """Its program, compiled once for all tests."""
    apply = functools.partial(model.apply, mutable="intermediates", **options)
    return compiled(lambda variables, images, rngs: apply(variables, images, rngs=rngs)[1]["intermediates"])


def taps(model, variables, images, rngs=None, **options):
    return compiled_taps(model, **options)(variables, images, rngs)


def test_tokens_are_patches_row_by_row_with_their_positions():
    model, variables = small()
    images, params = images_of(8, 12), variables["params"]
    token = jnp.full((1, 1, 16), 3.0)
    tokens = taps(model, with_params(variables, class_token=token), images)["tokens"]
    positions = params["position_embedding"]
    assert_close(tokens[:, 0], jnp.broadcast_to(token[0] + positions[:, 0], (2, 16)))
    corner = images[:, 4:8, 8:12].reshape(2, -1)  # the last patch
    embedding = params["patch_embedding"]
    expected = corner @ embedding["kernel"].reshape(-1, 16) + embedding["bias"][None] + positions[:, 6]
    assert_close(tokens[:, 6], expected)


def test_fixed_positions_are_those_of_the_grid_at_hand():
    model, variables = small(positions="sine_cosine", class_token=True, pool="mean")
    assert "position_embedding" not in variables["params"]
    embedding = variables["params"]["patch_embedding"]
    silent = with_params(variables, patch_embedding=jax.tree.map(jnp.zeros_like, embedding))
    tokens = taps(model, silent, images_of(12, 8))["tokens"]
    assert_close(tokens[0], jnp.concatenate([jnp.zeros((1, 16)), sine_cosine_2d((3, 2), 16)]))


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_without_positions_patches_may_change_places(pool):
    model, variables = small(pool=pool)
    positions = variables["params"]["position_embedding"]
    images = images_of(8, 12)
    patches = images.reshape(2, 2, 4, 3, 4, 3)
    exchanged = patches[:, ::-1, :, ::-1].reshape(images.shape)

    def logits(params):
        return [taps(model, params, each)["logits"] for each in (images, exchanged)]

    assert_close(*logits(with_params(variables, position_embedding=jnp.zeros_like(positions))))
    before, after = logits(with_params(variables, position_embedding=20 * positions))
    assert np.abs(before - after).max() > 1e-2


def test_at_the_grid_of_training_positions_are_as_they_were():
    """And for other images they are those of the resized grid, the class token's untouched."""
    model, variables = small()
    no_patches = jax.tree.map(jnp.zeros_like, variables["params"]["patch_embedding"])
    variables = with_params(variables, patch_embedding=no_patches, class_token=jnp.zeros((1, 1, 16)))
    positions = variables["params"]["position_embedding"]
    np.testing.assert_array_equal(taps(model, variables, images_of(8, 12))["tokens"][:1], positions)

    flat = jnp.concatenate([positions[:, :1], jnp.broadcast_to(positions[:, 1:2], (1, 6, 16))], axis=1)
    larger = taps(model, with_params(variables, position_embedding=flat), images_of(20, 16))["tokens"]
    assert larger.shape == (2, 1 + 5 * 4, 16)
    np.testing.assert_array_equal(larger[:1, 0], flat[:, 0])
    assert_close(larger[:, 1:], jnp.broadcast_to(flat[:, 1:2], (2, 20, 16)))


def test_a_larger_grid_has_other_parameters_and_the_same_logits_after_resampling():
    model, variables = small()
    images = images_of(16, 16)
    positions = resize_positions(variables["params"]["position_embedding"][0], (2, 3), (4, 4))[None]
    larger = with_params(variables, position_embedding=positions)
    assert_close(taps(model.clone(grid=4), larger, images)["logits"], taps(model, variables, images)["logits"])


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, 7),
        ({"pool": "mean"}, 6),
        ({"pool": "mean", "class_token": True}, 7),
        ({"pool": "mean", "fc_norm": True}, 6),
    ],
)
def test_what_the_head_sees(fields, tokens):
    model, variables = small(**fields)
    features = taps(model, variables, images_of(8, 12))
    last = np.asarray(features["block2"], np.float64)
    assert last.shape == (2, tokens, 16)
    pooled = last[:, :1] if model.pool == "token" else last[:, tokens - 6 :]
    pooled = pooled.mean(1, keepdims=True) if model.fc_norm else pooled
    normalised = (pooled - pooled.mean(-1, keepdims=True)) / np.sqrt(pooled.var(-1, keepdims=True) + 1e-6)
    head = variables["params"]["head"]
    assert_close(features["logits"], normalised.mean(1) @ np.asarray(head["kernel"]) + head["bias"][None])


def test_attention_maps_are_distributions_over_all_tokens():
    model, variables = small()
    maps = taps(model, variables, images_of(8, 12))
    for name in ("block1_attention", "block2_attention"):
        assert maps[name].shape == (2, 2, 7, 7)
        assert (np.asarray(maps[name]) > 0).all()
        assert_close(maps[name].sum(-1), np.ones((2, 2, 7)))


def test_a_perturbation_of_the_attention_is_what_is_mixed():
    """The class token that is made to attend to itself alone does not see the image."""
    model, variables = small(depth=1)
    alone = jnp.broadcast_to(jax.nn.one_hot(0, 7), (2, 2, 7, 7))

    def logits(images):
        weights = taps(model, variables, images)["block1_attention"]
        perturbed = {**variables, "perturbations": {"block1_attention": alone - weights}}
        features = taps(model, perturbed, images)
        assert_close(features["block1_attention"], alone)
        return features["logits"]

    images = images_of(8, 12)
    assert_close(logits(images), logits(images[:, ::-1]))


def test_remat_changes_neither_parameters_nor_gradients_nor_taps():
    model, variables = small(dropout_rate=0.2)
    images = images_of(8, 12)

    def train_with(model):
        def loss(params, perturbations):
            logits, state = model.apply(
                {"params": params, "perturbations": perturbations},
                images,
                train=True,
                rngs={"dropout": KEY},
                mutable="intermediates",
            )
            return jnp.sum(jnp.sin(logits)), state

        return jax.grad(loss, argnums=(0, 1), has_aux=True)

    lean = model.clone(remat=True)
    fresh = jax.eval_shape(functools.partial(models.initialise, lean), KEY, images)
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, variables)
    program = str(jax.make_jaxpr(lean.apply)(variables, images))
    assert len(re.findall(r"(?:checkpoint|remat2)\[", program)) == 2
    zeros = {"block1_attention": jnp.zeros((2, 2, 7, 7))}
    assert_close(*(compiled(train_with(each))(variables["params"], zeros) for each in (lean, model)), 1e-4)


def test_dropout_draws_in_training_only():
    model, variables = small(dropout_rate=0.5, depth=1)
    images = images_of(8, 12)
    dropped = taps(model, variables, images, {"dropout": KEY}, train=True)["tokens"]
    tokens = taps(model, variables, images)["tokens"]
    np.testing.assert_array_equal(tokens, taps(model.clone(dropout_rate=0.0), variables, images)["tokens"])
    kept = np.asarray(dropped) != 0
    assert 0.3 < kept.mean() < 0.7
    assert_close(np.asarray(dropped)[kept], 2 * np.asarray(tokens)[kept])


def test_the_compiled_gradient_grows_no_faster_than_the_depth():
    """It does by the square where XLA fuses across blocks: see `ops.normalization`."""

    def instructions(depth):
        model = models.create("vit_ti_16", **{**SMALL, "depth": depth})
        images = images_of(8, 12)
        variables = jax.eval_shape(functools.partial(models.initialise, model, images=images), KEY)
        gradient = jax.jit(jax.grad(lambda params: model.apply({"params": params}, images).sum()))
        return gradient.lower(variables["params"]).compile().as_text().count(" = ")

    assert instructions(6) <= 3 * instructions(2)


def test_queries_keys_and_values_start_as_if_alone():
    """U(±√6 / √(D + D)): the three side by side would start smaller."""
    _, variables = small(width=64, depth=1)
    kernel = np.asarray(variables["params"]["block1"]["qkv"]["kernel"])
    bound = np.sqrt(6 / 128)
    assert 0.99 * bound < np.abs(kernel).max() <= bound


@pytest.mark.parametrize(
    ("fields", "size", "message"),
    [
        ({}, (8, 13), "images of 8x13, expected multiples of the patch, 4 pixels"),
        ({}, (3, 8), "expected .* at least 4"),
        ({"pool": "max"}, (8, 12), "pool: 'max' is unknown, expected token or mean"),
        ({"positions": "none"}, (8, 12), "positions: 'none' is unknown, expected learned or sine_cosine"),
        ({"class_token": False}, (8, 12), "pool: 'token' without a class token, expected 'mean'"),
        ({"heads": 3}, (8, 12), "3 heads do not divide a width of 16"),
    ],
)
def test_what_does_not_fit_is_refused(fields, size, message):
    model = models.create("vit_ti_16", **{**SMALL, **fields})
    with pytest.raises(InputError, match=message):
        jax.eval_shape(functools.partial(models.initialise, model), KEY, images_of(*size))
