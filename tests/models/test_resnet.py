import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from tests.ops.numerics import assert_close, compiled

KEY = jax.random.key(0, impl="unsafe_rbg")


def abstract(name, **fields):
    """(variables, features) of one 224x224 image, as shapes and types."""
    model = models.create(name, **fields)
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    variables = jax.eval_shape(functools.partial(models.initialise, model), KEY, images)
    _, state = jax.eval_shape(functools.partial(model.apply, mutable="intermediates"), variables, images)
    return variables, state["intermediates"]


@pytest.mark.parametrize(
    ("name", "fields", "shapes"),
    [
        ("resnet18", {}, [(56, 64), (28, 128), (14, 256), (7, 512)]),
        ("resnet50", {}, [(56, 256), (28, 512), (14, 1024), (7, 2048)]),
        ("resnet50", {"dilate": [3, 4]}, [(56, 256), (28, 512), (28, 1024), (28, 2048)]),
    ],
)
def test_sizes_of_table_1(name, fields, shapes):
    _, features = abstract(name, **fields)
    assert features["conv1"].shape == (1, 112, 112, 64)
    for stage, (size, channels) in enumerate(shapes, start=1):
        assert features[f"stage{stage}"].shape == (1, size, size, channels)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_dilated_stages_have_the_features_of_the_strided_and_others_between(name):
    model = models.create(name, width=4, blocks=[1, 1, 2, 1])
    images = jax.random.normal(KEY, (2, 72, 50, 3))

    def stage4(variables, **fields):
        return model.clone(**fields).apply(variables, images, mutable="intermediates")[1]["intermediates"]["stage4"]

    @compiled
    def stages(images):
        variables = models.initialise(model, KEY, images)
        return stage4(variables), stage4(variables, dilate=(3,)), stage4(variables, dilate=(2, 3, 4))

    strided, one_dilated, all_dilated = stages(images)
    assert [stage.shape[1:3] for stage in (strided, one_dilated, all_dilated)] == [(3, 2), (5, 4), (18, 13)]
    assert_close(one_dilated[:, ::2, ::2], strided)
    assert_close(all_dilated[:, ::8, ::8], strided)


@pytest.mark.parametrize(("name", "last"), [("resnet18", "bn2"), ("resnet50", "bn3")])
def test_zero_init_is_for_the_last_scale_of_each_block(name, last):
    model = models.create(name, width=2, blocks=[2, 1], zero_init=True)
    params = compiled(functools.partial(models.initialise, model))(KEY, jnp.zeros((1, 16, 16, 3)))["params"]
    for module in ("stage1_block1", "stage1_block2", "stage2_block1"):
        norms = {layer: leaves["scale"] for layer, leaves in params[module].items() if "scale" in leaves}
        assert not norms.pop(last).any()
        assert all(np.all(scale == 1) for scale in norms.values())


@pytest.mark.parametrize("dilate", [[1], [3, 5]])
def test_only_stages_with_a_stride_can_dilate(dilate):
    with pytest.raises(InputError, match=r"dilate: stages \[.*\], expected some of \[2, 3, 4\]"):
        abstract("resnet18", dilate=dilate)
