"""Whose names a weight file uses: from the paths of our parameters to the keys of the file.

A path is that of a leaf of the variables, as in ("params", "stage1_block1", "conv1", "kernel").
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

Path = tuple[str, ...]

LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


class Layout(NamedTuple):
    """How the weight files of one library name the parameters of one family of models.

    Values follow from the leaf: a kernel [H, W, in, out] is [out, in, H, W] in the file, one of [in, out] is
    [out, in], and all else is the same in both.

    Attributes:
      name: for messages, such as "torchvision resnet".
      recognises: whether a file with these keys has this layout.
      keys: the file's key of every path of a model's variables.
      flattened: the module paths whose input is a flattened feature map, with its shape (C, H, W) in the file; ours
        is flattened from [H, W, C].
    """

    name: str
    recognises: Callable[[frozenset[str]], bool]
    keys: Callable[[Iterable[Path]], dict[Path, str]]
    flattened: Mapping[Path, tuple[int, int, int]] = {}


def by_module(name_of: Callable[[Path], str]) -> Callable[[Iterable[Path]], dict[Path, str]]:
    """`Layout.keys` where `name_of(("stage1_block1", "conv1"))` is the file's name of a module.

    A parameter that the model itself holds, ("params", "cls_token"), has the module path () and is not for this.
    """

    def keys(paths):
        return {path: f"{name_of(path[1:-1])}.{LEAVES[path[-1]]}" for path in paths}

    return keys
