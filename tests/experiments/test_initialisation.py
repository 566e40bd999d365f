import numpy as np

from experiments.foundations.initialisation import largest_difference


def test_the_largest_difference_between_two_units():
    """Weights [members, inputs, units] and biases [members, units]; the head does not count."""
    first = {
        "kernel": np.array([[[1.0, 1.0, 1.5], [0.0, 0.0, 0.0]], [[7.0, 0.0, 0.0]] * 2]),
        "bias": np.zeros((2, 3)),
    }
    params = {"hidden1": first, "head": {"kernel": np.array([[[0.0, 99.0]]] * 2), "bias": np.zeros((2, 2))}}
    assert largest_difference(params) == 7
    assert largest_difference(params, slice(0, 1)) == 0.5
    assert largest_difference({**params, "hidden1": {**first, "kernel": np.ones((2, 2, 3))}}) == 0
