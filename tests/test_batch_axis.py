import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.batch_axis import BATCH_AXIS, global_rows, is_mapped, row_keys, row_uniform, sum_over_batch
from jaxvision.parallel import make_layout

KEY = jax.random.key(3)


def normal(rows):
    """A number for each of the rows at hand."""
    return jax.vmap(jax.random.normal)(row_keys(KEY, len(rows)))


def uniform(rows):
    return row_uniform(KEY, len(rows))


@pytest.mark.parametrize("draw", [normal, uniform])
@pytest.mark.parametrize("devices", [1, 2, 4])
def test_rows_draw_the_same_however_the_batch_is_split(devices, draw):
    rows = jnp.arange(8)
    split = jax.vmap(draw, axis_name=BATCH_AXIS)(rows.reshape(devices, -1))
    np.testing.assert_array_equal(split.reshape(-1), draw(rows))
    assert len(np.unique(split)) == 8


def test_a_row_has_the_key_of_its_number():
    for row, key in enumerate(row_keys(KEY, 3)):
        assert key == jax.random.fold_in(KEY, row)


def test_uniform_numbers_are_the_published_hash():
    """The known answer of Threefry-2x32 (20 rounds, key 0 0, counter 0 0) in Random123 is 6b200159 99ba4efe."""
    assert row_uniform(jax.random.key(0), 1) == np.float32((0x6B200159 >> 8) / 2**24)


def test_a_number_depends_on_its_row_and_position_alone():
    numbers = row_uniform(KEY, 5, (2, 3))
    assert numbers.shape == (5, 2, 3) and numbers.dtype == jnp.float32
    np.testing.assert_array_equal(row_uniform(KEY, 3, (6,)), numbers[:3].reshape(3, 6))
    np.testing.assert_array_equal(row_uniform(KEY, 5, (4,)), numbers.reshape(5, 6)[:, :4])
    np.testing.assert_array_equal(row_uniform(KEY, 5), numbers[:, 0, 0])
    assert row_uniform(KEY, 5, (0, 3)).shape == (5, 0, 3)


def test_uniform_numbers_are_uniform_and_unrelated():
    numbers = np.asarray(row_uniform(KEY, 200, (500,)), np.float64)
    assert numbers.min() >= 0 and numbers.max() < 1
    counts, _ = np.histogram(numbers, 20, (0, 1))
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8  # chi-squared with 19 degrees of freedom, 1 in 1000
    centred = numbers - 0.5
    for other in (
        np.roll(centred, 1, 0),
        np.roll(centred, 1, 1),
        np.asarray(row_uniform(jax.random.key(4), 200, (500,))) - 0.5,
    ):
        assert abs((centred * other).mean()) < 4 / 12 / np.sqrt(numbers.size)  # four standard errors


@pytest.mark.parametrize("kind", ["threefry2x32", "rbg"])
def test_a_population_draws_what_its_members_do(kind):
    keys = jax.random.split(jax.random.key(1, impl=kind), 3)
    members = jax.jit(jax.vmap(lambda key: row_uniform(key, 2, (4,))))(keys)
    np.testing.assert_array_equal(members, jnp.stack([row_uniform(key, 2, (4,)) for key in keys]))
    assert len(np.unique(members)) == members.size


def test_a_device_knows_its_rows_and_sums_over_all():
    rows, total = jax.vmap(lambda x: (global_rows(2), sum_over_batch({"x": x})), axis_name=BATCH_AXIS)(
        jnp.arange(3.0)
    )
    np.testing.assert_array_equal(rows, [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(total["x"], [3, 3, 3])


def test_outside_any_mapping_the_batch_is_whole():
    assert not is_mapped()
    assert jax.vmap(lambda _: is_mapped(), axis_name=BATCH_AXIS)(jnp.zeros(2)).all()
    np.testing.assert_array_equal(global_rows(3), [0, 1, 2])
    assert sum_over_batch({"x": 5.0}) == {"x": 5.0}


@pytest.mark.parametrize(("devices", "reduces"), [(1, False), (2, True)])
def test_one_device_has_nothing_to_reduce(devices, reduces):
    layout = make_layout("replicate", jax.devices()[:devices])
    program = layout.bind(lambda x: sum_over_batch(x.sum()), (0,)).lower(jnp.ones(4))
    assert ("all_reduce" in program.as_text()) == reduces
