import numpy as np

from experiments.foundations.optimisers import Config, random_starts, steps_to_stay, turning_share


def path(*x):
    """Points on the x axis."""
    return np.array([(value, 0) for value in x])


def test_steps_until_a_path_stays_near():
    """One leaves once more, one is there from the start, one never comes."""
    paths = np.stack([path(3, 0.5, 2, 0.5, 0), path(0, 0, 0, 1, 0), path(5, 4, 3, 2, 1.5)])
    np.testing.assert_array_equal(steps_to_stay(paths, 1), [3, 0, 5])


def test_share_of_steps_that_turn_back():
    """y steps 1, -1, 1, 1 turn twice of three times; standing still is no turn."""
    y = np.array([(0, 1, 0, 1, 2), (0, 1, 1, 0, 0)])
    paths = np.stack([np.zeros_like(y), y], axis=-1)
    np.testing.assert_allclose(turning_share(paths), [2 / 3, 0])


def test_starts_lie_on_both_sides_and_go_by_the_seed():
    starts = np.asarray(random_starts(Config(seed=0, population=20)))
    assert (np.abs(starts) >= [3, 0.6]).all() and (np.abs(starts) <= [4, 1]).all()
    assert set(np.sign(starts[:, 0])) == set(np.sign(starts[:, 1])) == {-1, 1}
    np.testing.assert_array_equal(starts[7], random_starts(Config(seed=7, population=1))[0])
