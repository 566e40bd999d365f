import functools

import jax
import jax.numpy as jnp
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.ops import receptive_field
from tests.ops.numerics import assert_close, compiled

KEY = jax.random.key(0, impl="unsafe_rbg")

every_size = pytest.mark.parametrize("patch_px", [9, 17, 33])


@functools.cache
def narrow(patch_px):
    """A model of few features and blocks, whose logits are evidence [B, h, w, 5], and its variables."""
    model = models.create(f"bagnet{patch_px}", width=4, blocks=[1, 1, 1, 1], num_classes=5, average_pool=False)
    assert model.patch_px == patch_px
    return model, compiled(functools.partial(models.initialise, model))(KEY, jnp.zeros((1, 41, 41, 3)))


@every_size
def test_a_unit_sees_its_patch(patch_px):
    model, variables = narrow(patch_px)
    seen = receptive_field.measured(functools.partial(model.apply, variables), (49, 49, 3), (1, 2))
    assert seen == ((8, 8 + patch_px - 1), (16, 16 + patch_px - 1))


@every_size
def test_evidence_is_that_of_each_patch_alone_and_its_mean_the_logits(patch_px):
    model, variables = narrow(patch_px)
    averaging = model.clone(average_pool=True)
    images = jax.random.normal(KEY, (2, patch_px + 8, patch_px + 20, 3))
    corners = [(i, j) for i in range(2) for j in range(3)]

    @compiled
    def measure(variables, images):
        patches = [images[:, 8 * i :, 8 * j :][:, :patch_px, :patch_px] for i, j in corners]
        alone = averaging.apply(variables, jnp.concatenate(patches)).reshape(2, 3, 2, 5)
        return model.apply(variables, images), alone, averaging.apply(variables, images)

    evidence, alone, logits = measure(variables, images)
    assert_close(evidence, jnp.moveaxis(alone, 2, 0))
    assert_close(evidence.mean((1, 2)), logits)


def test_evidence_of_the_paper_is_24_by_24():
    model = models.create("bagnet33", average_pool=False)
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    variables = jax.eval_shape(functools.partial(models.initialise, model), KEY, images)
    assert jax.eval_shape(model.apply, variables, images).shape == (1, 24, 24, 1000)


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(InputError, match=r"BagNet: images of shape .* H and W at least 17"):
        models.create("bagnet17").init(KEY, jnp.zeros((1, 16, 17, 3)))
