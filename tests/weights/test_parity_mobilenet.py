import re

import numpy as np
import pytest

from jaxvision import models
from jaxvision.weights.layout import Layout, by_module
from jaxvision.weights.mobilenet import TORCHVISION
from tests.weights.parity import assert_same_logits, randomise

pytestmark = pytest.mark.parity

TAPS = {
    "conv1": "features.0",
    "stage1": "features.1",
    "stage2_block1": "features.2",
    "stage2": "features.3",
    "stage4": "features.10",
    "stage7": "features.17",
    "conv_last": "features.18",
}


def images():
    return np.random.default_rng(0).normal(size=(2, 64, 47, 3)).astype(np.float32)


def test_mobilenet_v2():
    import torchvision

    torch_model = randomise(torchvision.models.mobilenet_v2(), seed=0)
    assert_same_logits(models.create("mobilenet_v2"), torch_model, TORCHVISION, images(), TAPS)


def test_mobilenet_v1():
    """By timm's version of it, whose files are not ours to read: trained with ReLU6, where the paper has ReLU."""
    import timm

    layers = {"depthwise": ("conv_dw", "bn1"), "pointwise": ("conv_pw", "bn2")}

    def name_of(module):
        match module:
            case ("conv1", kind):
                return {"conv": "conv_stem", "bn": "bn1"}[kind]
            case (block, layer, kind):
                stage, number = (int(digits) - 1 for digits in re.findall(r"\d+", block))
                return f"blocks.{stage}.{number}.{layers[layer][kind == 'bn']}"
        return "classifier"

    layout = Layout("timm mobilenetv1", recognises=bool, keys=by_module(name_of))
    torch_model = randomise(timm.create_model("mobilenetv1_100", act_layer="relu"), seed=0)
    assert_same_logits(models.create("mobilenet_v1"), torch_model, layout, images(), {"stage3": "blocks.2"})
