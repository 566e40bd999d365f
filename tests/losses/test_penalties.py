import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.losses import l1_penalty, l2_penalty
from jaxvision.training.masks import by_path, not_bias_or_norm

PARAMS = {
    "hidden": {"kernel": jnp.array([[1.0, -2.0], [0.0, 3.0]]), "bias": jnp.array([4.0, -5.0])},
    "head": {"kernel": jnp.array([[0.5], [-0.5]]), "bias": jnp.array([-6.0])},
}
NO_BIASES = {"hidden": {"kernel": True, "bias": False}, "head": {"kernel": True, "bias": False}}


def test_by_hand():
    """|1| + 2 + 0 + 3, 4 + 5, 0.5 + 0.5, 6; 1 + 4 + 0 + 9, 16 + 25, 0.25 + 0.25, 36."""
    assert l1_penalty(PARAMS) == 22
    assert l2_penalty(PARAMS) == 91.5


@pytest.mark.parametrize("mask", [NO_BIASES, lambda path: path[-1] != "bias", not_bias_or_norm(PARAMS)])
def test_without_biases(mask):
    assert l1_penalty(PARAMS, mask=mask) == 7
    assert l2_penalty(PARAMS, mask=mask) == 14.5


def test_a_mask_sees_the_whole_path():
    assert l2_penalty(PARAMS, mask=lambda path: path == ("head", "kernel")) == 0.5
    assert l2_penalty([jnp.ones(2), jnp.ones(3)], mask=lambda path: path == ("1",)) == 3
    assert l2_penalty(PARAMS, mask=lambda path: False) == 0


def test_gradients():
    """sign(w), 0 at 0, and 2 w; what the mask leaves out has none."""
    ours = jax.grad(l1_penalty)(PARAMS)
    np.testing.assert_array_equal(ours["hidden"]["kernel"], [[1, -1], [0, 1]])
    ours = jax.jit(jax.grad(functools.partial(l2_penalty, mask=NO_BIASES)))(PARAMS)
    np.testing.assert_array_equal(ours["hidden"]["kernel"], 2 * PARAMS["hidden"]["kernel"])
    np.testing.assert_array_equal(ours["hidden"]["bias"], 0)


def test_each_member_of_a_population_has_its_own():
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), PARAMS)
    np.testing.assert_array_equal(jax.vmap(l2_penalty)(stacked), [91.5, 366])


def test_sums_of_bfloat16_are_float32():
    penalty = l1_penalty({"w": jnp.ones(1000, jnp.bfloat16)})
    assert penalty.dtype == jnp.float32
    assert penalty == 1000


@pytest.mark.parametrize(
    ("mask", "complaint"),
    [
        ({"hidden": True, "head": True}, "structure"),
        (jax.tree.map(lambda _: 1.0, PARAMS), "something else than a bool"),
        (not_bias_or_norm, "structure"),
        (functools.partial(by_path, pattern="bias|hidden|head|kernel"), "found in no path"),
    ],
)
def test_other_masks(mask, complaint):
    with pytest.raises(InputError, match=complaint):
        l2_penalty(PARAMS, mask=mask)
