"""Every model by name."""

import difflib
import inspect
from numbers import Real

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.models import alexnet, bagnet, googlenet, mobilenet, resnet, resnet_cifar, vgg, vit
from jaxvision.models.blocks import NORMS
from jaxvision.models.course_cnn import CourseCifarCNN, CourseMnistCNN, DigitsCNN
from jaxvision.models.lenet import LeNet5
from jaxvision.models.mlp import MLP
from jaxvision.models.nin import NiN
from jaxvision.models.perceptron import Multiperceptron, Perceptron
from jaxvision.ops import initializers
from jaxvision.ops.activations import ACTIVATIONS

CONSTRUCTORS = {
    "alexnet": alexnet.AlexNet,
    "alexnet_2012": alexnet.AlexNet2012,
    "bagnet17": bagnet.bagnet17,
    "bagnet33": bagnet.bagnet33,
    "bagnet9": bagnet.bagnet9,
    "course_cifar_cnn": CourseCifarCNN,
    "course_mnist_cnn": CourseMnistCNN,
    "digits_cnn": DigitsCNN,
    "googlenet": googlenet.googlenet,
    "googlenet_paper": googlenet.googlenet_paper,
    "lenet": LeNet5,
    "mlp": MLP,
    "mobilenet_v1": mobilenet.mobilenet_v1,
    "mobilenet_v2": mobilenet.mobilenet_v2,
    "multiperceptron": Multiperceptron,
    "nin": NiN,
    "perceptron": Perceptron,
    "plain20": resnet_cifar.plain20,
    "plain56": resnet_cifar.plain56,
    "resnet101": resnet.resnet101,
    "resnet110": resnet_cifar.resnet110,
    "resnet1202": resnet_cifar.resnet1202,
    "resnet152": resnet.resnet152,
    "resnet18": resnet.resnet18,
    "resnet20": resnet_cifar.resnet20,
    "resnet32": resnet_cifar.resnet32,
    "resnet34": resnet.resnet34,
    "resnet44": resnet_cifar.resnet44,
    "resnet50": resnet.resnet50,
    "resnet56": resnet_cifar.resnet56,
    "vgg11": vgg.vgg11,
    "vgg11_bn": vgg.vgg11_bn,
    "vgg11_lrn": vgg.vgg11_lrn,
    "vgg13": vgg.vgg13,
    "vgg13_bn": vgg.vgg13_bn,
    "vgg16": vgg.vgg16,
    "vgg16_bn": vgg.vgg16_bn,
    "vgg16_c": vgg.vgg16_c,
    "vgg19": vgg.vgg19,
    "vgg19_bn": vgg.vgg19_bn,
    "vit_b_16": vit.vit_b_16,
    "vit_b_32": vit.vit_b_32,
    "vit_l_16": vit.vit_l_16,
    "vit_l_32": vit.vit_l_32,
    "vit_s_16": vit.vit_s_16,
    "vit_s_32": vit.vit_s_32,
    "vit_ti_16": vit.vit_ti_16,
    "vit_ti_32": vit.vit_ti_32,
}

NAMED_VALUES = {  # fields whose value a name may stand for
    "act": ACTIVATIONS,
    "kernel_init": {
        "he": initializers.he_normal,
        "lecun": initializers.lecun_normal,
        "small_normal": initializers.normal,
        "xavier": initializers.xavier_normal,
        "zeros": initializers.zeros,
    },
    "norm": NORMS,
}

MAY_BE_0 = ("blocks", "depth", "depths", "num_classes", "padding", "wide_stages")
POSITIVE = ("features", "grid", "groups", "heads", "hidden", "patch", "pooled_px", "width")
POSITIVE += ("large_window", "last_pool_window")


def names() -> list[str]:
    """The models that `create` knows."""
    return sorted(CONSTRUCTORS)


def create(name: str, **fields) -> nn.Module:
    """The named model with these fields, which may come from JSON.

    Lists become tuples; `act`, `norm`, `kernel_init` and `dtype` may be names, as in act="tanh", norm="batch",
    kernel_init="he", dtype="bfloat16". Raises InputError for an unknown model, field or name, and for a size or
    number of something that is below 0, or 0 where there has to be one.
    """
    constructor = _lookup("model", name, CONSTRUCTORS)
    known = inspect.signature(constructor).parameters.keys() - {"parent", "name"}
    for field in fields:
        _lookup(f"{name} field", field, dict.fromkeys(known))
    fields = {field: _from_json(field, value) for field, value in fields.items()}
    for field, value in fields.items():
        _check_size(name, field, value)
    return constructor(**fields)


def _check_size(name, field, value):
    sizes = value if isinstance(value, tuple) else (value,)
    if field in MAY_BE_0 and not all(isinstance(size, Real) and size >= 0 for size in sizes):
        raise InputError(f"{name} field: {field} {value!r}, expected at least 0")
    if field in POSITIVE and not all(isinstance(size, Real) and size > 0 for size in sizes):
        raise InputError(f"{name} field: {field} {value!r}, expected more than 0")


def _from_json(field, value):
    if isinstance(value, list):
        return tuple(value)
    if field in NAMED_VALUES and isinstance(value, str):
        return _lookup(field, value, NAMED_VALUES[field])
    if field == "dtype":
        try:
            return jnp.dtype(value)
        except TypeError:
            raise InputError(f"dtype: {value!r} is no type, expected one such as float32 or bfloat16") from None
    return value


def _lookup(what, name, table):
    if name in table:
        return table[name]
    closest = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean {closest[0]!r}?" if closest else f"expected one of {', '.join(sorted(table))}"
    raise InputError(f"{what}: {name!r} is unknown, {hint}")
