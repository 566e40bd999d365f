import numpy as np
import pytest

from jaxvision import models
from jaxvision.weights import alexnet
from jaxvision.weights.vgg import TORCHVISION
from tests.weights.parity import assert_same_logits, randomise

pytestmark = pytest.mark.parity

TAPS = {
    "vgg16_bn": {
        "conv1_1": "features.2",
        "stage1": "features.6",
        "stage2": "features.13",
        "conv3_3": "features.22",
        "stage3": "features.23",
        "stage4": "features.33",
        "stage5": "features.43",
        "fc6": "classifier.1",
        "fc7": "classifier.4",
    }
}


@pytest.mark.parametrize("name", [f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")])
def test_vgg(name):
    """With hidden layers of 64: those of 4096 are the same but for half a gigabyte."""
    import torchvision
    from torch import nn

    torch_model = getattr(torchvision.models, name)()
    torch_model.classifier = nn.Sequential(
        *(nn.Linear(25088, 64), nn.ReLU(), nn.Dropout()),
        *(nn.Linear(64, 64), nn.ReLU(), nn.Dropout()),
        nn.Linear(64, 10),
    )
    assert TORCHVISION.recognises(frozenset(torch_model.state_dict()))
    assert not alexnet.TORCHVISION.recognises(frozenset(torch_model.state_dict()))
    images = np.random.default_rng(0).normal(size=(2, 64, 96, 3)).astype(np.float32)
    model = models.create(name, hidden=64, num_classes=10)
    assert_same_logits(model, randomise(torch_model, seed=0), TORCHVISION, images, TAPS.get(name))
