import jax.numpy as jnp
import pytest

from jaxvision import models
from jaxvision.errors import InputError


def test_fields_may_come_from_json():
    model = models.create("mlp", features=[5, 4], act="tanh", dtype="bfloat16")
    assert (model.features, model.act, model.dtype) == ((5, 4), jnp.tanh, jnp.bfloat16)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("lenet5", {}, "model: 'lenet5' is unknown, did you mean 'lenet'"),
        ("zzz", {}, "model: 'zzz' is unknown, expected one of course_cifar_cnn, .*perceptron"),
        ("mlp", {"feature": 3}, "mlp field: 'feature' is unknown, did you mean 'features'"),
        ("multiperceptron", {"zzz": 3}, "field: 'zzz' is unknown, expected one of act, dtype, num_classes$"),
        ("mlp", {"act": "rely"}, "act: 'rely' is unknown, did you mean 'relu'"),
        ("mlp", {"dtype": "float33"}, "dtype: 'float33'"),
    ],
)
def test_unknown_names(name, fields, message):
    with pytest.raises(InputError, match=message):
        models.create(name, **fields)
