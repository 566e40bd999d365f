"""VGG: the layers of torchvision's files by their places in its two lists; pools and activations count too."""

import re
from itertools import groupby

from jaxvision.weights.layout import Layout, by_module

CLASSIFIER = {"fc6": "classifier.0", "fc7": "classifier.3", "head": "classifier.6"}


def _recognises(keys):
    # VGG-11 has eight, AlexNet five, and in files of other families the numbers are followed by a second one.
    return sum(re.fullmatch(r"features\.\d+\.weight", key) is not None for key in keys) >= 7


def _keys(paths):
    paths = list(paths)
    modules = {path[1] for path in paths}
    places, place = dict(CLASSIFIER), 0
    convolutions = sorted(module for module in modules if module.startswith("conv"))
    for _, stage in groupby(convolutions, key=lambda module: module.split("_")[0]):
        for conv in stage:
            norm = conv.replace("conv", "bn")
            places |= {conv: f"features.{place}", norm: f"features.{place + 1}"}
            place += 3 if norm in modules else 2
        place += 1
    return by_module(lambda path: places[path[0]])(paths)


TORCHVISION = Layout("torchvision vgg", recognises=_recognises, keys=_keys, flattened={("fc6",): (512, 7, 7)})
