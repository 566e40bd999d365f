from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.training.masks import by_path, not_bias_or_norm

PARAMS = {
    "stage1": {"conv1": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}, "norm1": {"scale": 1.0, "bias": 1.0}},
    "head": {"kernel": jnp.ones(3), "bias": jnp.ones(())},
}


def chosen(mask):
    """The paths that are True."""
    leaves = jax.tree.leaves_with_path(mask)
    assert all(isinstance(leaf, bool) for _, leaf in leaves)
    return {"/".join(entry.key for entry in path) for path, leaf in leaves if leaf}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("^head/", {"head/kernel", "head/bias"}),
        ("conv1/kernel$", {"stage1/conv1/kernel"}),
        ("head|norm.*scale", {"head/kernel", "head/bias", "stage1/norm1/scale"}),
        ("^(?!.*kernel)", {"stage1/conv1/bias", "stage1/norm1/scale", "stage1/norm1/bias", "head/bias"}),
    ],
)
def test_by_path(pattern, expected):
    assert chosen(by_path(PARAMS, pattern)) == expected


def test_a_pattern_that_chooses_nothing_is_refused():
    with pytest.raises(
        InputError, match=r"'\^hed/': found in no path of a parameter; there are head/bias, head/ker"
    ):
        by_path(PARAMS, "^hed/")
    with pytest.raises(InputError, match=r"pattern '\(': not a regular expression"):
        by_path(PARAMS, "(")


def test_the_slope_of_a_prelu_does_not_decay():
    assert not_bias_or_norm({"act": {"slope": 0.25}, "head": {"kernel": 1.0}}) == {
        "act": {"slope": False},
        "head": {"kernel": True},
    }


def test_kernels_decay():
    assert chosen(not_bias_or_norm(PARAMS)) == {"stage1/conv1/kernel", "head/kernel"}


def test_kernels_of_a_residual_network_decay():
    """19 convolutions and the head; not the 19 normalisations' scales and offsets, and not the head's bias."""
    model = models.create("resnet20")
    images = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    params = jax.eval_shape(partial(model.init, train=False), jax.random.key(0), images)["params"]
    mask = not_bias_or_norm(params)
    assert sum(jax.tree.leaves(mask)) == 20
    assert len(jax.tree.leaves(mask)) == 20 + 2 * 19 + 1
    assert all(
        len(leaf.shape) > 1 for leaf, decays in zip(jax.tree.leaves(params), jax.tree.leaves(mask)) if decays
    )


def test_optax_takes_them_as_masks():
    gradients = jax.tree.map(jnp.zeros_like, PARAMS)
    tx = optax.chain(
        optax.add_decayed_weights(0.5, mask=not_bias_or_norm),
        optax.masked(optax.scale(10.0), partial(by_path, pattern="^head/")),
    )
    updates, _ = tx.update(gradients, tx.init(PARAMS), PARAMS)
    np.testing.assert_array_equal(updates["stage1"]["conv1"]["kernel"], [0.5, 0.5])
    np.testing.assert_array_equal(updates["head"]["kernel"], [5, 5, 5])
    others = [updates["stage1"]["norm1"], updates["stage1"]["conv1"]["bias"], updates["head"]["bias"]]
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(others))
