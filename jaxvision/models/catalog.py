"""Every model by name."""

import difflib
import inspect

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.models import resnet_cifar
from jaxvision.models.blocks import NORMS
from jaxvision.models.course_cnn import CourseCifarCNN, CourseMnistCNN, DigitsCNN
from jaxvision.models.lenet import LeNet5
from jaxvision.models.mlp import MLP
from jaxvision.models.perceptron import Multiperceptron, Perceptron
from jaxvision.ops import initializers
from jaxvision.ops.activations import ACTIVATIONS

CONSTRUCTORS = {
    "course_cifar_cnn": CourseCifarCNN,
    "course_mnist_cnn": CourseMnistCNN,
    "digits_cnn": DigitsCNN,
    "lenet": LeNet5,
    "mlp": MLP,
    "multiperceptron": Multiperceptron,
    "perceptron": Perceptron,
    "resnet1202": resnet_cifar.resnet1202,
    "resnet110": resnet_cifar.resnet110,
    "resnet20": resnet_cifar.resnet20,
    "resnet32": resnet_cifar.resnet32,
    "resnet44": resnet_cifar.resnet44,
    "resnet56": resnet_cifar.resnet56,
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


def names() -> list[str]:
    """The models that `create` knows."""
    return sorted(CONSTRUCTORS)


def create(name: str, **fields) -> nn.Module:
    """The named model with these fields, which may come from JSON.

    Lists become tuples; `act`, `norm`, `kernel_init` and `dtype` may be names, as in act="tanh", norm="batch",
    kernel_init="he", dtype="bfloat16". Raises InputError for an unknown model, field or name.
    """
    constructor = _lookup("model", name, CONSTRUCTORS)
    known = inspect.signature(constructor).parameters.keys() - {"parent", "name"}
    for field in fields:
        _lookup(f"{name} field", field, dict.fromkeys(known))
    return constructor(**{field: _from_json(field, value) for field, value in fields.items()})


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
