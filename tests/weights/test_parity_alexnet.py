import numpy as np
import pytest

from jaxvision import models
from jaxvision.weights import vgg
from jaxvision.weights.alexnet import TORCHVISION
from tests.weights.parity import assert_same_logits, randomise

pytestmark = pytest.mark.parity


def images(height, width):
    return np.random.default_rng(0).normal(size=(2, height, width, 3)).astype(np.float32)


def test_alexnet():
    import torchvision

    taps = {
        "conv1": "features.1",
        "pool1": "features.2",
        "conv2": "features.4",
        "conv3": "features.7",
        "conv4": "features.9",
        "pool5": "features.12",
        "fc6": "classifier.2",
        "fc7": "classifier.5",
    }
    torch_model = randomise(torchvision.models.alexnet(), seed=0)
    assert TORCHVISION.recognises(frozenset(torch_model.state_dict()))
    assert not vgg.TORCHVISION.recognises(frozenset(torch_model.state_dict()))
    assert_same_logits(models.create("alexnet"), torch_model, TORCHVISION, images(64, 96), taps)


@pytest.mark.parametrize("groups", [1, 2])
def test_alexnet_2012(groups):
    """No library has it: from the paper's figures, with small hidden layers and the file's names."""
    from torch import nn

    def normalised_pool():  # torch divides alpha by the size
        return nn.Sequential(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2), nn.MaxPool2d(3, 2))

    def network():
        features = [
            *(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), normalised_pool()),
            *(nn.Conv2d(96, 256, 5, padding=2, groups=groups), nn.ReLU(), normalised_pool()),
            *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 384, 3, padding=1, groups=groups), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1, groups=groups), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.AdaptiveAvgPool2d(6), nn.Flatten()),
        ]
        classifier = [
            *(nn.Identity(), nn.Linear(9216, 64), nn.ReLU(), nn.Identity(), nn.Linear(64, 64), nn.ReLU()),
            nn.Linear(64, 10),
        ]
        lists = {"features": nn.Sequential(*features), "classifier": nn.Sequential(*classifier)}
        whole = nn.Sequential()
        for name, layers in lists.items():
            whole.add_module(name, layers)
        return whole

    model = models.create("alexnet_2012", groups=groups, hidden=64, num_classes=10)
    assert_same_logits(model, randomise(network(), seed=0), TORCHVISION, images(67, 99))
