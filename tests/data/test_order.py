import numpy as np
import pytest

from jaxvision.data import FoldOrder, PopulationOrder, TrainingOrder
from jaxvision.errors import InputError


@pytest.mark.parametrize(("num_examples", "batch_size"), [(10, 3), (12, 4), (5, 13), (1, 2)])
def test_every_epoch_visits_each_example_once(num_examples, batch_size):
    order = TrainingOrder(num_examples, batch_size, seed=3)
    visited = order.batches(0, 3 * num_examples).reshape(-1)
    epochs = visited.reshape(-1, num_examples)  # 3 * batch_size of them
    np.testing.assert_array_equal(np.sort(epochs, 1), np.broadcast_to(order.examples, epochs.shape))
    np.testing.assert_array_equal(order.examples, np.arange(num_examples))


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


def test_an_order_of_some_examples_visits_each_of_them_once_an_epoch():
    examples = np.array([9, 2, 5, 7, 0])
    order = FoldOrder(10, examples, batch_size=3, seed=2)
    assert (order.num_examples, order.batch_size) == (10, 3)
    np.testing.assert_array_equal(order.examples, examples)
    epochs = order.batches(0, 5).reshape(3, 5)
    assert epochs.dtype == np.int32
    np.testing.assert_array_equal(np.sort(epochs, 1), [[0, 2, 5, 7, 9]] * 3)
    np.testing.assert_array_equal(
        epochs.reshape(-1), examples[TrainingOrder(5, 3, seed=2).batches(0, 5).reshape(-1)]
    )
    np.testing.assert_array_equal(np.stack([order.batch(step) for step in range(5)]), order.batches(0, 5))


def test_an_order_of_no_examples_is_refused():
    with pytest.raises(InputError, match="expected at least 1"):
        FoldOrder(10, np.array([], int), batch_size=3, seed=2)


def test_a_population_has_the_order_of_each_member():
    members = [TrainingOrder(10, 4, seed=0), TrainingOrder(10, 4, seed=1), FoldOrder(10, np.arange(5), 4, seed=0)]
    order = PopulationOrder(members)
    assert (order.num_examples, order.batch_size) == (10, 4)
    assert order.batch(3).shape == (3, 4) and order.batches(2, 7).shape == (5, 3, 4)
    for i, member in enumerate(members):
        np.testing.assert_array_equal(order.batch(3)[i], member.batch(3))
        np.testing.assert_array_equal(order.batches(2, 7)[:, i], member.batches(2, 7))
