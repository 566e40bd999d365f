"""AlexNet: the layers of torchvision's file by their places in its two lists."""

from jaxvision.weights.layout import Layout, by_module

PLACES = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "head": "classifier.6",
}


def _recognises(keys):
    # No VGG has more than four of these.
    body = {f"{place}.weight" for module, place in PLACES.items() if module != "head"}
    return len(body & keys) >= 5


TORCHVISION = Layout(
    "torchvision alexnet",
    recognises=_recognises,
    keys=by_module(lambda path: PLACES[path[0]]),
    flattened={("fc6",): (256, 6, 6)},
)
