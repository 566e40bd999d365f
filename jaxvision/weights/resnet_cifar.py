"""Weight files of the residual networks for CIFAR, with the keys of the reimplementation of Idelbayev (2018)."""

from jaxvision.weights.layout import Layout, by_module
from jaxvision.weights.resnet import residual_names


def _recognises(keys):
    starts = {key.split(".")[0] for key in keys}
    return {"layer1", "layer3"} <= starts and starts.isdisjoint({"fc", "layer4"})


IDELBAYEV = Layout("cifar resnet", _recognises, by_module(residual_names(shortcut="shortcut", head="linear")))
