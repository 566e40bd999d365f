import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.batch_axis import BATCH_AXIS, global_rows, is_mapped, row_keys, sum_over_batch

KEY = jax.random.key(3)


def draw(rows):
    """A number for each of the rows at hand."""
    return jax.vmap(jax.random.normal)(row_keys(KEY, len(rows)))


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_rows_draw_the_same_however_the_batch_is_split(devices):
    rows = jnp.arange(8)
    split = jax.vmap(draw, axis_name=BATCH_AXIS)(rows.reshape(devices, -1))
    np.testing.assert_array_equal(split.reshape(-1), draw(rows))
    assert len(np.unique(split)) == 8


def test_a_row_has_the_key_of_its_number():
    for row, key in enumerate(row_keys(KEY, 3)):
        assert key == jax.random.fold_in(KEY, row)


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
