"""Which weight files a model may be loaded from, and what their authors fed it."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxvision.augment import ImagePreprocess
from jaxvision.errors import InputError
from jaxvision.models.alexnet import AlexNet, AlexNet2012
from jaxvision.models.bagnet import BagNet
from jaxvision.models.catalog import create
from jaxvision.models.googlenet import GoogLeNet
from jaxvision.models.mobilenet import MobileNetV2
from jaxvision.models.resnet import ResNet
from jaxvision.models.resnet_cifar import ResNetCifar
from jaxvision.models.vgg import VGG
from jaxvision.models.vit import ViT
from jaxvision.weights import Layout, alexnet, googlenet, mobilenet, resnet, resnet_cifar, vgg, vit

Arrays = Mapping[str, np.ndarray]

HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
IMAGENET = ImagePreprocess(256, 224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


class Source(NamedTuple):
    """A layout that the files of a model may have.

    Attributes:
      layout: of the keys.
      preprocess: what the models of the published files expect.
      fields: what the arrays tell about the model besides its classes and channels; nothing of layers without
        parameters.
    """

    layout: Layout
    preprocess: ImagePreprocess = IMAGENET
    fields: Callable[[Arrays], dict] = lambda arrays: {}


def _auxiliaries(arrays):
    return {"auxiliary": any(key.startswith("aux1.") for key in arrays)}


def _projections(arrays):
    return {"shortcut": "B"} if any(".shortcut." in key for key in arrays) else {}


def _tokens(arrays, token_key, positions_key):
    """Whether there is a class token, what is pooled, and the grid where the positions are those of a square.

    A token is missing, and not left out, unless the positions make a square without it.
    """
    positions = arrays.get(positions_key)
    count = positions.shape[1] if positions is not None and positions.ndim == 3 else 0
    token, fc_norm = token_key in arrays or _side(count) is None, "fc_norm.weight" in arrays
    fields = {"class_token": token, "fc_norm": fc_norm, "pool": "token" if token and not fc_norm else "mean"}
    side = _side(count - token)
    return fields if side is None else fields | {"grid": side}


_torchvision_tokens = partial(_tokens, token_key="class_token", positions_key="encoder.pos_embedding")
_timm_tokens = partial(_tokens, token_key="cls_token", positions_key="pos_embed")


def _side(count):
    """Of a square of so many; None where there is none."""
    side = math.isqrt(max(count, 0))
    return side if side and side**2 == count else None


FAMILIES = {
    AlexNet: [Source(alexnet.TORCHVISION)],
    AlexNet2012: [Source(alexnet.TORCHVISION)],
    BagNet: [Source(resnet.BAGNET)],
    GoogLeNet: [  # images as for Inception: torchvision's `transform_input`
        Source(googlenet.TORCHVISION, dataclasses.replace(IMAGENET, **HALF), _auxiliaries)
    ],
    MobileNetV2: [Source(mobilenet.TORCHVISION)],
    ResNet: [Source(resnet.TORCHVISION)],
    ResNetCifar: [
        Source(resnet_cifar.IDELBAYEV, dataclasses.replace(IMAGENET, resize_px=32, crop_px=32), _projections)
    ],
    VGG: [Source(vgg.TORCHVISION)],
    ViT: [
        Source(vit.TORCHVISION, fields=_torchvision_tokens),
        Source(vit.TORCHVISION_PUBLISHED, fields=_torchvision_tokens),
        Source(vit.TIMM, ImagePreprocess(248, 224, **HALF, interpolation="bicubic"), _timm_tokens),
    ],
}
EXCEPTIONS = {
    ("vit_l_16", vit.TORCHVISION.name): {"preprocess": dataclasses.replace(IMAGENET, resize_px=242)},
    ("vit_l_16", vit.TORCHVISION_PUBLISHED.name): {"preprocess": dataclasses.replace(IMAGENET, resize_px=242)},
    # A plain network stays one: it has no place for projections.
    ("plain20", resnet_cifar.IDELBAYEV.name): {"fields": lambda arrays: {}},
    ("plain56", resnet_cifar.IDELBAYEV.name): {"fields": lambda arrays: {}},
}


def sources_of(name: str) -> dict[str, Source]:
    """By the names of their layouts. Raises InputError where no layout is known for this model."""
    sources = FAMILIES.get(type(create(name)))
    if not sources:
        raise InputError(f"{name}: no layout of weight files is known for it")
    return {
        source.layout.name: source._replace(**EXCEPTIONS.get((name, source.layout.name), {})) for source in sources
    }
