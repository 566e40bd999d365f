import numpy as np
import pytest

from jaxvision import models
from jaxvision.weights.googlenet import TORCHVISION
from tests.weights.parity import assert_same_logits, randomise

pytestmark = pytest.mark.parity

TAPS = {
    "conv1": "conv1",
    "conv2": "conv3",
    "inception3a": "inception3a",
    "stage3": "inception3b",
    "inception4d": "inception4d",
    "stage4": "inception4e",
    "stage5": "inception5b",
}


def network(**options):
    import torchvision

    return randomise(torchvision.models.GoogLeNet(init_weights=False, **options), seed=0)


def images(height, width):
    return np.random.default_rng(0).normal(size=(2, height, width, 3)).astype(np.float32)


def test_googlenet():
    """With its auxiliary classifiers: the network is told that this is training, none of its layers is."""
    torch_model = network()
    torch_model.training = True
    torch_model.register_forward_hook(lambda module, inputs, outputs: outputs.logits)
    model = models.create("googlenet", auxiliary=True)
    taps = {**TAPS, "aux1_logits": "aux1", "aux2_logits": "aux2"}
    assert_same_logits(model, torch_model, TORCHVISION, images(79, 64), taps)


def test_googlenet_paper():
    """No library has it: torchvision's, with what it replaced put back."""
    from torch import nn
    from torchvision.models.googlenet import BasicConv2d

    torch_model = network(num_classes=10, aux_logits=False)
    for name, unit in torch_model.named_modules():
        if isinstance(unit, BasicConv2d):
            window = 5 if name.endswith("branch3.1") else unit.conv.kernel_size[0]
            channels = unit.conv.in_channels, unit.conv.out_channels
            unit.conv = nn.Conv2d(*channels, window, stride=unit.conv.stride, padding=window // 2)
            nn.init.kaiming_normal_(unit.conv.weight)
            unit.bn = nn.Identity()
    response_norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)  # torch divides alpha by the size
    torch_model.maxpool1 = nn.Sequential(torch_model.maxpool1, response_norm)
    torch_model.maxpool2 = nn.Sequential(response_norm, torch_model.maxpool2)
    torch_model.maxpool4 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    model = models.create("googlenet_paper", num_classes=10)
    assert_same_logits(model, randomise(torch_model, seed=0), TORCHVISION, images(47, 64))
