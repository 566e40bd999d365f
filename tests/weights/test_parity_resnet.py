import numpy as np
import pytest

from jaxvision import models
from jaxvision.weights.resnet import TORCHVISION
from tests.weights.parity import assert_same_logits, randomise

pytestmark = pytest.mark.parity
STAGES = {f"stage{n}": f"layer{n}" for n in (1, 2, 3, 4)}


def images(channels=3):
    return np.random.default_rng(0).standard_normal((2, 64, 64, channels), np.float32)


@pytest.mark.parametrize(
    ("name", "taps"),
    [("resnet18", {}), ("resnet34", {}), ("resnet50", STAGES), ("resnet101", {}), ("resnet152", {})],
)
def test_torchvision(name, taps):
    from torchvision.models import get_model

    assert_same_logits(models.create(name), randomise(get_model(name), 0), TORCHVISION, images(), taps)


def test_torchvision_dilated():
    from torchvision.models import resnet50

    reference = randomise(resnet50(replace_stride_with_dilation=[False, True, True]), 1)
    assert_same_logits(models.create("resnet50", dilate=[3, 4]), reference, TORCHVISION, images(), STAGES)


def test_timm_dilated_for_one_channel():
    import timm

    reference = randomise(timm.create_model("resnet18", num_classes=7, in_chans=1, output_stride=8), 2)
    model = models.create("resnet18", num_classes=7, dilate=[3, 4])
    assert_same_logits(model, reference, TORCHVISION, images(channels=1), STAGES)
