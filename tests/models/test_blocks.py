import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.batch_axis import BATCH_AXIS
from jaxvision.errors import InputError
from jaxvision.models.blocks import Dropout, tap


def drop(rate, x, *, train=True):
    return Dropout(rate).apply({}, x, train=train, rngs={"dropout": jax.random.key(3)})


def test_dropout_keeps_the_mean_and_scales_what_it_keeps():
    dropped = drop(0.2, jnp.ones((8, 50, 50)))
    np.testing.assert_allclose(np.unique(dropped), [0, 1.25])
    assert abs(dropped.mean() - 1) < 4 * 0.5 / np.sqrt(dropped.size)  # four standard errors
    assert len(np.unique(dropped, axis=0)) == 8


def test_dropout_does_not_see_how_the_batch_is_split():
    x = jnp.ones((6, 5))
    parts = jax.vmap(lambda part: drop(0.5, part), axis_name=BATCH_AXIS)(x.reshape(3, 2, 5))
    np.testing.assert_array_equal(parts.reshape(6, 5), drop(0.5, x))


def test_dropout_rate_may_be_traced():
    x = jnp.ones((4, 30))
    rates = jnp.array([0.0, 0.25, 0.5])
    members = jax.jit(jax.vmap(lambda rate: drop(rate, x)))(rates)
    for member, rate in zip(members, (0.0, 0.25, 0.5)):
        np.testing.assert_allclose(member, drop(rate, x), rtol=1e-6)


def test_dropout_off():
    x = jnp.ones((2, 3))
    assert drop(0.5, x, train=False) is x
    assert Dropout(0.0).apply({}, x, train=True) is x  # needs no key
    with pytest.raises(InputError, match="rate"):
        drop(1.0, x)


class Twice(nn.Module):
    names: tuple[str, str]

    def __call__(self, x):
        return tap(self, self.names[1], 3 * tap(self, self.names[0], 2 * x))


def test_tap_costs_nothing_unless_asked_for():
    x = jnp.ones((2, 3))
    model = Twice(("a", "b"))
    bare = jax.make_jaxpr(lambda x: 3 * (2 * x))(x)
    assert str(jax.make_jaxpr(lambda x: model.apply({}, x))(x)) == str(bare)
    assert model.init(jax.random.key(0), x) == {}


def test_two_taps_of_one_name():
    with pytest.raises(ValueError, match="two taps"):
        Twice(("a", "a")).apply({}, jnp.ones(2), mutable="intermediates")


def test_some_perturbations_are_enough():
    """d(6x)/d(2x) = 3 and 1 at the end."""
    model, x = Twice(("a", "b")), jnp.ones(2)

    def total(perturbations):
        return model.apply({"perturbations": perturbations}, x).sum()

    np.testing.assert_array_equal(jax.grad(total)({"a": jnp.zeros(2)})["a"], [3, 3])
    np.testing.assert_array_equal(jax.grad(total)({"b": jnp.zeros(2)})["b"], [1, 1])
