import jax.numpy as jnp
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.models.blocks import GroupNorm, LayerNorm
from jaxvision.ops.initializers import he_normal


def test_fields_may_come_from_json():
    model = models.create("mlp", features=[5, 4], act="tanh", dtype="bfloat16", norm="layer", kernel_init="he")
    assert (model.features, model.act, model.dtype) == ((5, 4), jnp.tanh, jnp.bfloat16)
    assert (model.norm, model.kernel_init) == (LayerNorm, he_normal)
    assert models.create("resnet20", norm="group").norm is GroupNorm


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("lenet5", {}, "model: 'lenet5' is unknown, did you mean 'lenet'"),
        ("zzz", {}, "model: 'zzz' is unknown, expected one of alexnet, .*lenet, .*perceptron"),
        ("mlp", {"feature": 3}, "mlp field: 'feature' is unknown, did you mean 'features'"),
        ("multiperceptron", {"zzz": 3}, "field: 'zzz' is unknown, expected one of act, dtype, num_classes$"),
        ("mlp", {"act": "rely"}, "act: 'rely' is unknown, did you mean 'relu'"),
        ("mlp", {"norm": "bach"}, "norm: 'bach' is unknown, did you mean 'batch'"),
        ("mlp", {"kernel_init": "kaiming"}, "kernel_init: 'kaiming' is unknown, expected one of he, lecun, small_"),
        ("mlp", {"dtype": "float33"}, "dtype: 'float33'"),
    ],
)
def test_unknown_names(name, fields, message):
    with pytest.raises(InputError, match=message):
        models.create(name, **fields)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("resnet20", {"num_classes": -1}, "resnet20 field: num_classes -1, expected at least 0"),
        ("resnet20", {"num_classes": "ten"}, "num_classes 'ten', expected at least 0"),
        ("resnet18", {"blocks": [2, -1]}, r"blocks \(2, -1\), expected at least 0"),
        ("vit_ti_16", {"grid": 0}, "vit_ti_16 field: grid 0, expected more than 0"),
        ("vit_ti_16", {"grid": [14, 0]}, r"grid \(14, 0\), expected more than 0"),
        ("mobilenet_v2", {"width": -0.5}, "mobilenet_v2 field: width -0.5, expected more than 0"),
        ("mobilenet_v1", {"width": float("nan")}, "width nan, expected more than 0"),
        ("mlp", {"features": [5, 0]}, r"features \(5, 0\), expected more than 0"),
    ],
)
def test_impossible_sizes(name, fields, message):
    with pytest.raises(InputError, match=message):
        models.create(name, **fields)


def test_no_hidden_layer_and_no_classes_are_possible():
    model = models.create("mlp", features=[], num_classes=0)
    assert (model.features, model.num_classes) == ((), 0)
