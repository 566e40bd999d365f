"""All layouts of weight files."""

from collections.abc import Iterable

from jaxvision.errors import InputError
from jaxvision.weights import alexnet, googlenet, mobilenet, resnet, resnet_cifar, vgg, vit
from jaxvision.weights.layout import Layout

LAYOUTS = (
    alexnet.TORCHVISION,
    googlenet.TORCHVISION,
    mobilenet.TORCHVISION,
    resnet.BAGNET,
    resnet.TORCHVISION,
    resnet_cifar.IDELBAYEV,
    vgg.TORCHVISION,
    vit.TIMM,
    vit.TORCHVISION,
    vit.TORCHVISION_PUBLISHED,
)


def recognise(keys: Iterable[str]) -> Layout:
    """The layout of a file with these keys. Raises InputError unless it is one and one only."""
    keys = frozenset(keys)
    found = [layout for layout in LAYOUTS if layout.recognises(keys)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(layout.name for layout in found or LAYOUTS)
    examples = ", ".join(sorted(keys)[:3]) or "no keys at all"
    raise InputError(f"keys such as {examples} are of {'more than one' if found else 'no'} layout known: {known}")
