"""Whole published networks at the papers' image size and at odd ones, with other numbers of classes and channels.

Not for every change: `JAXVISION_EXTRAS=parity scripts/test -m slow -n0` takes ten minutes.
"""

import numpy as np
import pytest

from jaxvision import models
from jaxvision.weights import alexnet, googlenet, mobilenet, resnet, vgg, vit
from tests.weights.parity import assert_same_logits, randomise

pytestmark = pytest.mark.slow

CONVOLUTIONAL = {
    "alexnet": alexnet.TORCHVISION,
    **{f"vgg{depth}{norm}": vgg.TORCHVISION for depth in (11, 13, 16, 19) for norm in ("", "_bn")},
    "googlenet": googlenet.TORCHVISION,
    **{f"resnet{depth}": resnet.TORCHVISION for depth in (18, 34, 50, 101, 152)},
    "mobilenet_v2": mobilenet.TORCHVISION,
}
SIZES = (("ti", "tiny"), ("s", "small"), ("b", "base"), ("l", "large"))
TIMM = {f"vit_{short}_{patch}": f"vit_{long}_patch{patch}_224" for short, long in SIZES for patch in (16, 32)}
del TIMM["vit_ti_32"]  # timm has none


def images(height, width, channels):
    return np.random.default_rng(0).standard_normal((1, height, width, channels), np.float32)


def torchvision_network(name, num_classes, channels):
    """With a first convolution for so many channels."""
    from torch import nn
    from torchvision.models import get_model

    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    network = get_model(name, num_classes=num_classes, **options)
    path, stem = next((path, each) for path, each in network.named_modules() if isinstance(each, nn.Conv2d))
    parent, _, attribute = path.rpartition(".")
    bias = stem.bias is not None
    stem = nn.Conv2d(channels, stem.out_channels, stem.kernel_size, stem.stride, stem.padding, bias=bias)
    setattr(network.get_submodule(parent), attribute, stem)
    return randomise(network, 3)


@pytest.mark.parametrize(("height", "width", "channels", "classes"), [(224, 224, 3, 1000), (131, 97, 1, 7)])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_convolutional(name, height, width, channels, classes):
    reference = torchvision_network(name, classes, channels)
    model = models.create(name, num_classes=classes)
    assert_same_logits(model, reference, CONVOLUTIONAL[name], images(height, width, channels))


@pytest.mark.parametrize("name", ["vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32"])
def test_torchvision_vit(name):
    reference = torchvision_network(name, 1000, 3)
    assert_same_logits(models.create(name), reference, vit.TORCHVISION, images(224, 224, 3))


@pytest.mark.parametrize("size_px", [224, 384])
@pytest.mark.parametrize("name", TIMM)
def test_timm_vit(name, size_px):
    import timm

    reference = randomise(timm.create_model(TIMM[name], img_size=size_px, num_classes=1000), 4)
    model = models.create(name, grid=size_px // reference.patch_embed.patch_size[0])
    assert_same_logits(model, reference, vit.TIMM, images(size_px, size_px, 3))
