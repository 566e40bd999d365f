import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.weights.engine import to_variables
from jaxvision.weights.vit import TIMM, TORCHVISION, TORCHVISION_PUBLISHED
from tests.weights.parity import KEY, arrays_of, assert_same_logits, randomise

pytestmark = pytest.mark.parity


def images(height, width, channels=3):
    return np.random.default_rng(0).standard_normal((2, height, width, channels), np.float32)


def torchvision_vit(model, size_px):
    """The same network, for square images of this size."""
    from torchvision.models import VisionTransformer

    reference = VisionTransformer(
        image_size=size_px,
        patch_size=model.patch,
        num_layers=model.depth,
        num_heads=model.heads,
        hidden_dim=model.width,
        mlp_dim=4 * model.width,
        num_classes=model.num_classes,
    )
    return randomise(reference, 0)


def timm_vit(name, **options):
    import timm

    return randomise(timm.create_model(name, **options), 1)


def test_torchvision():
    from torchvision.models import vit_b_16

    taps = {f"block{n}": f"encoder.layers.encoder_layer_{n - 1}" for n in range(1, 13)}
    reference = randomise(vit_b_16(image_size=32), 0)
    assert_same_logits(models.create("vit_b_16", grid=2), reference, TORCHVISION, images(32, 32), taps)


@pytest.mark.parametrize(("name", "size_px"), [("vit_b_32", 64), ("vit_l_16", 32), ("vit_l_32", 64)])
def test_torchvision_with_two_blocks(name, size_px):
    model = models.create(name, depth=2, grid=2, num_classes=7)
    assert_same_logits(model, torchvision_vit(model, size_px), TORCHVISION, images(size_px, size_px))


def test_files_from_before_torchvision_renamed_two_layers():
    """Its own loader takes them for the same."""
    import torch

    model = models.create("vit_ti_16", depth=2, width=16, heads=2, grid=2, num_classes=3)
    reference = torchvision_vit(model, 32)
    arrays = {key: array.copy() for key, array in arrays_of(reference).items()}
    published = {
        key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): array
        for key, array in arrays.items()
    }
    assert len(published.keys() - arrays.keys()) == 8
    torchvision_vit(model, 32).load_state_dict({key: torch.from_numpy(each) for key, each in published.items()})
    assert [TORCHVISION_PUBLISHED.recognises(keys) for keys in (published, arrays)] == [True, False]
    assert [TORCHVISION.recognises(keys) for keys in (published, arrays)] == [False, True]

    template = jax.eval_shape(functools.partial(models.initialise, model, images=jnp.zeros((1, 32, 32, 3))), KEY)
    ours, theirs = (
        to_variables(published, TORCHVISION_PUBLISHED, template),
        to_variables(arrays, TORCHVISION, template),
    )
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize(
    ("name", "timm_name", "options", "size"),
    [
        ("vit_ti_16", "vit_tiny_patch16_224", {}, (64, 48)),  # the grid of 14x14 shrinks
        ("vit_s_16", "vit_small_patch16_224", {"depth": 4, "img_size": 32}, (64, 48)),  # and 2x2 grows
        ("vit_b_16", "vit_base_patch16_224", {"depth": 2, "img_size": (48, 32)}, (32, 48)),
        ("vit_l_16", "vit_large_patch16_224", {"depth": 2, "img_size": 32}, (32, 32)),
        ("vit_s_32", "vit_small_patch32_224", {"depth": 2}, (64, 96)),
        ("vit_b_32", "vit_base_patch32_224", {"depth": 2, "in_chans": 1, "num_classes": 7}, (64, 64)),
    ],
)
def test_timm(name, timm_name, options, size):
    reference = timm_vit(timm_name, dynamic_img_size=True, **options)
    model = models.create(
        name,
        depth=len(reference.blocks),
        grid=list(reference.patch_embed.grid_size),
        num_classes=reference.num_classes,
    )
    taps = {f"block{n}": f"blocks.{n - 1}" for n in (1, 2)}
    assert_same_logits(model, reference, TIMM, images(*size, reference.in_chans), taps)


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({}, {"class_token": True, "fc_norm": True}),
        ({"class_token": False}, {"fc_norm": True}),
        ({"class_token": False, "fc_norm": False}, {}),
    ],
    ids=["global_pool", "no_token", "paper"],
)
def test_timm_with_the_mean_of_patches(options, fields):
    reference = timm_vit("vit_tiny_patch16_224", global_pool="avg", depth=2, img_size=32, num_classes=7, **options)
    model = models.create("vit_ti_16", pool="mean", depth=2, grid=2, num_classes=7, **fields)
    assert_same_logits(model, reference, TIMM, images(32, 32))
