"""GoogLeNet: torchvision's file, which may hold the auxiliary classifiers and has them untrained."""

from jaxvision.weights.layout import Layout, by_module

NAMES = {
    "conv2_reduce": "conv2",
    "conv2": "conv3",
    "conv1x1": "branch1",
    "conv3x3_reduce": "branch2.0",
    "conv3x3": "branch2.1",
    "conv5x5_reduce": "branch3.0",
    "conv5x5": "branch3.1",
    "pool_proj": "branch4.1",
    "dense": "fc1",  # of an auxiliary classifier, as the head below
    "head": "fc2",
}


def _recognises(keys):
    return any(key.startswith(("inception3", "inception4", "inception5")) for key in keys)


def _name_of(module):
    return "fc" if module == ("head",) else ".".join(NAMES.get(name, name) for name in module)


TORCHVISION = Layout(
    "torchvision googlenet",
    recognises=_recognises,
    keys=by_module(_name_of),
    flattened={("aux1", "dense"): (128, 4, 4), ("aux2", "dense"): (128, 4, 4)},
)
