"""MobileNet version 2: torchvision's file numbers the blocks through all stages, and the layers of a block."""

import re

from jaxvision.weights.layout import Layout, by_module


def _recognises(keys):
    return any(re.match(r"features\.\d+\.conv\.", key) for key in keys)


def _keys(paths):
    paths = list(paths)
    blocks = {path[1] for path in paths if path[1].startswith("stage")}
    widening = {path[1] for path in paths if "expand" in path}
    in_order = sorted(blocks, key=lambda block: [int(number) for number in re.findall(r"\d+", block)])
    places = {name: place for place, name in enumerate(("conv1", *in_order, "conv_last"))}

    def name_of(module):
        if module == ("head",):
            return "classifier.1"
        first, *unit, layer = module
        place, number = f"features.{places[first]}", ("conv", "bn").index(layer)
        if not unit:
            return f"{place}.{number}"
        position = ("expand", "depthwise", "project").index(unit[0]) - (first not in widening)
        if unit == ["project"]:  # has no activation, so torchvision did not wrap it
            return f"{place}.conv.{position + number}"
        return f"{place}.conv.{position}.{number}"

    return by_module(name_of)(paths)


TORCHVISION = Layout("torchvision mobilenet_v2", recognises=_recognises, keys=_keys)
