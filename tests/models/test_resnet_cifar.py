import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models

KEY = jax.random.key(0, impl="unsafe_rbg")


@functools.cache
def abstract(name, **fields):
    """(parameters, features) of one 32x32 image, as shapes and types."""
    model = models.create(name, **fields)
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(functools.partial(models.initialise, model), KEY, images)
    _, state = jax.eval_shape(functools.partial(model.apply, mutable="intermediates"), variables, images)
    return variables, state["intermediates"]


def test_sizes_of_figure_3():
    _, features = abstract("resnet20")
    sizes = {name: feature.shape[1:] for name, feature in features.items()}
    assert sizes["conv1"] == sizes["stage1_block3"] == sizes["stage1"] == (32, 32, 16)
    assert sizes["stage2_block1"] == sizes["stage2"] == (16, 16, 32)
    assert sizes["stage3_block1"] == sizes["stage3"] == (8, 8, 64)
    assert len(sizes) == 1 + 9 + 3 + 1


@pytest.mark.parametrize(("shortcut", "count"), [("A", 19_421_274), ("B", 19_424_026)])
def test_parameters_of_1202_layers(shortcut, count):
    """By extrapolation: every three blocks more add the same, and tracing so many layers takes long."""
    count_20, count_32 = (
        models.parameter_count(abstract(name, shortcut=shortcut)[0]) for name in ("resnet20", "resnet32")
    )
    assert models.create("resnet1202").blocks == 200
    assert count_20 + (200 - 3) * (count_32 - count_20) // 2 == count


@pytest.mark.parametrize("shortcut", ["A", "none"])
def test_a_block_that_is_taken_out_leaves_what_came_in(shortcut):
    images = jnp.asarray(np.random.default_rng(0).random((2, 8, 8, 3), np.float32))
    model = models.create("resnet20", shortcut=shortcut)
    variables = models.initialise(model, KEY, images)

    @jax.jit
    def answers(kept):
        logits, state = model.clone(kept=kept).apply(variables, images, mutable="intermediates")
        return logits, state["intermediates"]

    logits, features = answers(jnp.arange(9) != 4)  # the second block of the second stage
    np.testing.assert_array_equal(features["stage2_block2"], features["stage2_block1"])
    whole, _ = answers(jnp.ones(9, bool))
    np.testing.assert_allclose(whole, model.apply(variables, images), rtol=1e-4, atol=1e-5)
    assert np.abs(logits - whole).max() > 1e-3
    _, features = answers(jnp.arange(9) != 3)  # the first block of the second stage halves the image
    np.testing.assert_array_equal(features["stage2_block1"][..., 8:24], features["stage1"][:, ::2, ::2])
    assert not features["stage2_block1"][..., :8].any()
