from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.batch_axis import BATCH_AXIS
from jaxvision.errors import InputError
from jaxvision.models.blocks import BatchNorm, Dropout, initialise, statistics_of_batch, tap
from jaxvision.models.mlp import MLP
from jaxvision.models.resnet_cifar import ResNetCifar
from tests.ops.numerics import assert_close, compiled


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


def test_statistics_of_a_batch_are_what_the_running_ones_move_towards():
    """r' = 0.9 r + 0.1 b at every depth, and b does not depend on r."""
    model, images = MLP((6, 5), norm=BatchNorm), jax.random.normal(jax.random.key(0), (3, 2, 2, 1))
    variables = initialise(model, jax.random.key(1), images)
    stale = {**variables, "batch_stats": jax.tree.map(lambda leaf: leaf + 7, variables["batch_stats"])}

    @compiled
    def measure(variables):
        _, updated = model.apply(variables, images, train=True, mutable="batch_stats")
        return updated, statistics_of_batch(model, variables, images)

    updated, statistics = jax.device_get(measure(stale))
    running = {"batch_stats": stale["batch_stats"]}
    assert_close(statistics, jax.tree.map(lambda new, old: (new - 0.9 * old) / 0.1, updated, running), 1e-4)
    assert_close(statistics, measure(variables)[1])


def test_statistics_of_a_batch_reach_into_blocks():
    model, images = ResNetCifar(1), jax.ShapeDtypeStruct((3, 8, 8, 3), jnp.float32)
    variables = jax.eval_shape(partial(initialise, model), jax.random.key(0), images)
    statistics = jax.eval_shape(partial(statistics_of_batch, model), variables, images)
    assert statistics == {"batch_stats": variables["batch_stats"]}


def test_statistics_of_a_batch_are_without_dropout_and_padding():
    model = MLP((6, 5), norm=partial(BatchNorm, momentum=0.5), dropout_rate=0.5)
    images = jax.random.normal(jax.random.key(0), (7, 2, 2, 1))
    variables = initialise(model, jax.random.key(1), images)
    padded = jnp.concatenate([images, jnp.full((2, 2, 2, 1), jnp.nan)])
    measure = compiled(partial(statistics_of_batch, model))
    statistics = measure(variables, padded, mask=jnp.arange(9) < 7)
    assert_close(statistics, measure(variables, images))
    first = np.asarray(images.reshape(7, 4) @ variables["params"]["hidden1"]["kernel"])
    np.testing.assert_allclose(statistics["batch_stats"]["norm1"]["mean"], first.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(statistics["batch_stats"]["norm1"]["var"], first.var(0, ddof=1), rtol=1e-5)


def test_statistics_of_a_batch_need_batch_norm():
    images = jnp.ones((2, 2, 2, 1))
    with pytest.raises(InputError, match="MLP: no batch normalisation"):
        statistics_of_batch(MLP(), initialise(MLP(), jax.random.key(0), images), images)
