import numpy as np

from jaxvision.data.stratify import stratified_cut, stratified_order


def test_cuts_are_exact_in_total_and_within_one_of_proportional_in_every_class():
    labels = np.repeat([0, 1, 2], [500, 120, 37])
    np.random.default_rng(0).shuffle(labels)
    kept, held = stratified_cut(labels, [657 - 66, 66])
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(657))
    assert len(held) == 66 and (np.diff(held) > 0).all()
    expected = np.bincount(labels) * 66 / 657
    assert (np.abs(np.bincount(labels[held]) - expected) <= 1).all()


def test_orders_are_random_within_a_class_and_fixed():
    order = stratified_order(np.zeros(50, int), seed=4)
    np.testing.assert_array_equal(order, np.random.default_rng(4).permutation(50))
