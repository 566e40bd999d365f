import numpy as np
import pytest

from jaxvision.data import TrainingOrder
from jaxvision.errors import InputError


@pytest.mark.parametrize(("num_examples", "batch_size"), [(10, 3), (12, 4), (5, 13), (1, 2)])
def test_every_epoch_visits_each_example_once(num_examples, batch_size):
    order = TrainingOrder(num_examples, batch_size, seed=3)
    visited = order.batches(0, 3 * num_examples).reshape(-1)
    epochs = visited.reshape(-1, num_examples)  # 3 * batch_size of them
    np.testing.assert_array_equal(np.sort(epochs, 1), np.broadcast_to(np.arange(num_examples), epochs.shape))


def test_a_batch_is_a_function_of_the_step():
    order = TrainingOrder(100, 32, seed=1)
    steps = order.batches(0, 20)
    assert steps.shape == (20, 32) and steps.dtype == np.int32
    for step in (13, 2, 3, 19, 0):
        np.testing.assert_array_equal(TrainingOrder(100, 32, seed=1).batch(step), steps[step])
    np.testing.assert_array_equal(order.batches(7, 11), steps[7:11])
    assert order.batches(5, 5).shape == (0, 32)


def test_epochs_and_seeds_differ():
    first = TrainingOrder(50, 50, seed=0)
    assert (first.batch(0) != first.batch(1)).any()
    assert (first.batch(0) != TrainingOrder(50, 50, seed=1).batch(0)).any()


def test_the_order_never_changes_between_versions():
    expected = np.random.default_rng([7, 0]).permutation(6)
    np.testing.assert_array_equal(TrainingOrder(6, 6, seed=7).batch(0), expected)


@pytest.mark.parametrize("arguments", [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_impossible_orders(arguments):
    with pytest.raises(InputError, match="expected"):
        TrainingOrder(*arguments)
