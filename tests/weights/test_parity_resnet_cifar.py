import numpy as np
import pytest

from jaxvision import models
from jaxvision.weights.resnet_cifar import IDELBAYEV
from tests.weights.parity import assert_same_logits, randomise

pytestmark = pytest.mark.parity
STAGES = {f"stage{n}": f"layer{n}" for n in (1, 2, 3)}


def resnet20(option):
    import torch
    from torch import nn

    class SubsampleAndPad(nn.Module):
        def forward(self, x):
            new = torch.zeros_like(x[:, : x.shape[1] // 2, ::2, ::2])
            return torch.cat([new, x[:, :, ::2, ::2], new], 1)

    def shortcut(inputs, features):
        if inputs == features:
            return nn.Identity()
        if option == "A":
            return SubsampleAndPad()
        return nn.Sequential(nn.Conv2d(inputs, features, 1, 2, bias=False), nn.BatchNorm2d(features))

    class Block(nn.Module):
        def __init__(self, inputs, features):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, features, 3, features // inputs, 1, bias=False)
            self.conv2 = nn.Conv2d(features, features, 3, 1, 1, bias=False)
            self.bn1, self.bn2 = nn.BatchNorm2d(features), nn.BatchNorm2d(features)
            if option != "none":
                self.shortcut = shortcut(inputs, features)

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y if option == "none" else y + self.shortcut(x))

    def stage(inputs, features):
        return nn.Sequential(Block(inputs, features), Block(features, features), Block(features, features))

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
            self.layer1, self.layer2, self.layer3 = stage(16, 16), stage(16, 32), stage(32, 64)
            self.linear = nn.Linear(64, 10)

        def forward(self, x):
            x = torch.relu(self.bn1(self.conv1(x)))
            return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))

    return ResNet()


@pytest.mark.parametrize(
    ("name", "option", "taps"),
    [("resnet20", "A", STAGES), ("resnet20", "B", {}), ("plain20", "none", {})],
)
def test_resnet_cifar(name, option, taps):
    images = np.random.default_rng(0).standard_normal((2, 32, 32, 3), np.float32)
    model = models.create(name, shortcut=option)
    assert_same_logits(model, randomise(resnet20(option), 0), IDELBAYEV, images, taps)
