"""The classes of ImageNet (ILSVRC 2012), in the order of all published weights: that of their WordNet ids."""

from importlib.resources import files
from typing import NamedTuple


class Synset(NamedTuple):
    """A class of ImageNet: its WordNet id, which is the name of its folder, and its name."""

    wordnet_id: str
    name: str


def imagenet_classes() -> tuple[Synset, ...]:
    """All 1,000; class k is the one at position k. Where two share a word, a second one tells them apart."""
    lines = files("jaxvision.data").joinpath("imagenet.txt").read_text().splitlines()
    return tuple(Synset(*line.split(" ", 1)) for line in lines)
