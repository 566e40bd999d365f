"""Weight files of ImageNet's residual networks: torchvision's and timm's ResNets, and the BagNets, named alike."""

import re
from collections.abc import Callable

from jaxvision.weights.layout import Layout, Path, by_module


def residual_names(*, shortcut: str, head: str) -> Callable[[Path], str]:
    """For `by_module`: ("stage1_block1", "conv1") is layer1.0.conv1, and the stem's modules keep their names.

    `shortcut` names the pair of a projection and its normalisation, `head` the classifier.
    """
    within_block = {"conv_shortcut": f"{shortcut}.0", "bn_shortcut": f"{shortcut}.1"}

    def name_of(module):
        first, *layers = module
        if not layers:
            return head if first == "head" else first
        stage, number = re.fullmatch(r"stage(\d+)_block(\d+)", first).groups()
        (layer,) = layers
        return f"layer{stage}.{int(number) - 1}.{within_block.get(layer, layer)}"

    return name_of


def _is_residual(keys):
    starts = {key.split(".")[0] for key in keys}
    return "layer1" in starts and not starts.isdisjoint({"fc", "layer4"})


def _is_bagnet(keys):
    return _is_residual(keys) and "conv2.weight" in keys


def _is_resnet(keys):
    return _is_residual(keys) and "conv2.weight" not in keys


_KEYS = by_module(residual_names(shortcut="downsample", head="fc"))

TORCHVISION = Layout("torchvision resnet", _is_resnet, _KEYS)
BAGNET = Layout("bagnet", _is_bagnet, _KEYS)
