"""What every augmentation promises, found by reflection over the public names."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import augment
from jaxvision.batch_axis import BATCH_AXIS

OPTIONS = {
    "horizontal_flip": {},
    "pad_and_crop": {"padding": 2},
    "random_crop": {"size_px": (5, 4)},
    "random_resized_crop": {"size_px": 5},
    "translate": {"max_shift_px": 3, "fill": "edge"},
}
ROUNDING = {"random_resized_crop": 1}  # that interpolates; the others move pixels as they are
PUBLIC = {name: getattr(augment, name) for name in augment.__all__}
RANDOM = {name for name, function in PUBLIC.items() if next(iter(inspect.signature(function).parameters)) == "key"}
KEY = jax.random.key(5)

every_augmentation = pytest.mark.parametrize("name", sorted(OPTIONS))


def bound(name):
    return functools.partial(PUBLIC[name], **OPTIONS[name])


def images_of(dtype):
    return jnp.asarray(np.random.default_rng(0).integers(0, 256, (8, 6, 7, 3)), dtype)


def assert_same(ours, theirs, name):
    np.testing.assert_allclose(np.float32(ours), np.float32(theirs), rtol=0, atol=ROUNDING.get(name, 0))


def test_every_augmentation_has_a_case():
    assert OPTIONS.keys() == RANDOM


@every_augmentation
def test_signature(name):
    parameters = list(inspect.signature(PUBLIC[name]).parameters.values())
    assert [parameter.name for parameter in parameters[:2]] == ["key", "images"]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters[2:])


@every_augmentation
def test_plain_is_jit_is_vmap_is_split(name):
    images, augmentation = images_of("uint8"), bound(name)
    plain = augmentation(KEY, images)
    assert plain.dtype == jnp.uint8
    assert len(plain) == len(images) and plain.shape[3] == 3
    jitted = jax.jit(augmentation)(KEY, images.astype(jnp.float32))  # floats move alike
    assert jitted.dtype == jnp.float32
    assert_same(jitted, plain, name)

    keys = jax.random.split(KEY, 2)
    members = jax.vmap(augmentation, in_axes=(0, None))(keys, images)
    assert_same(members, jnp.stack([augmentation(key, images) for key in keys]), name)

    per_device = jax.vmap(functools.partial(augmentation, KEY), axis_name=BATCH_AXIS)
    split = per_device(images.reshape(4, 2, 6, 7, 3))
    assert_same(split.reshape(plain.shape), plain, name)


@every_augmentation
def test_examples_and_keys_draw_differently(name):
    augmentation = bound(name)
    alike = jnp.broadcast_to(images_of("uint8")[:1], (8, 6, 7, 3))
    one, other = augmentation(KEY, alike), augmentation(jax.random.key(6), alike)
    assert len(np.unique(one, axis=0)) > 1
    assert jnp.any(one != other)


def test_chain_gives_each_its_own_key():
    images = images_of("uint8")
    flip = augment.horizontal_flip
    first, second = (jax.random.fold_in(KEY, position) for position in range(2))
    np.testing.assert_array_equal(augment.chain(flip, flip)(KEY, images), flip(second, flip(first, images)))
    assert jnp.any(augment.chain(flip, flip)(KEY, images) != images)
