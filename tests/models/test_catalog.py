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
