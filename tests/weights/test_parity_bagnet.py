import numpy as np
import pytest

from jaxvision import models
from jaxvision.weights.resnet import BAGNET
from tests.weights.parity import assert_same_logits, randomise

pytestmark = pytest.mark.parity
STAGES = {f"stage{n}": f"layer{n}" for n in (1, 2, 3, 4)}


def bagnet(wide_stages, average_pool):
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs, features, stride, window):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(inputs, features, 1, bias=False), nn.BatchNorm2d(features)
            self.conv2 = nn.Conv2d(features, features, window, stride, bias=False)
            self.bn2 = nn.BatchNorm2d(features)
            self.conv3, self.bn3 = nn.Conv2d(features, 4 * features, 1, bias=False), nn.BatchNorm2d(4 * features)
            self.downsample = nn.Identity()
            if inputs != 4 * features:
                projection = nn.Conv2d(inputs, 4 * features, 1, stride, bias=False)
                self.downsample = nn.Sequential(projection, nn.BatchNorm2d(4 * features))

        def forward(self, x):
            y = torch.relu(self.bn1(self.conv1(x)))
            y = torch.relu(self.bn2(self.conv2(y)))
            y = self.bn3(self.conv3(y))
            return torch.relu(y + self.downsample(x)[:, :, : y.shape[2], : y.shape[3]])

    def stage(number, inputs, blocks):
        features, stride = 32 * 2**number, 1 if number == 4 else 2
        first = Block(inputs, features, stride, 3 if number <= wide_stages else 1)
        return nn.Sequential(first, *(Block(4 * features, features, 1, 1) for _ in range(blocks - 1)))

    class BagNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 64, 1, bias=False), nn.Conv2d(64, 64, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(64)
            self.layer1, self.layer2 = stage(1, 64, 3), stage(2, 256, 4)
            self.layer3, self.layer4 = stage(3, 512, 6), stage(4, 1024, 3)
            self.fc = nn.Linear(2048, 1000)

        def forward(self, x):
            x = torch.relu(self.bn1(self.conv2(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(x.mean((2, 3)) if average_pool else x.permute(0, 2, 3, 1))

    return BagNet()


@pytest.mark.parametrize(
    ("name", "wide_stages", "average_pool", "taps"),
    [("bagnet9", 2, True, {}), ("bagnet17", 3, False, STAGES), ("bagnet33", 4, True, {})],
)
def test_bagnet(name, wide_stages, average_pool, taps):
    images = np.random.default_rng(0).standard_normal((2, 56, 48, 3), np.float32)
    reference = randomise(bagnet(wide_stages, average_pool), 0)
    assert_same_logits(models.create(name, average_pool=average_pool), reference, BAGNET, images, taps)
