import numpy as np

from experiments.foundations.softmax_and_hinge import distance_to_boundary, losses_by_margin, of_the_slide


def test_distance_to_boundary():
    """Between (0, 0) and (4, 0) at x = 2, between (0, 0) and (0, 4) at y = 2, and on the diagonal beyond."""
    centres = np.array([(0.0, 0.0), (4.0, 0.0), (0.0, 4.0)])
    points = np.array([(0, 0), (1.5, -7), (2.25, 0), (-1, 2.5), (5, 3)])
    expected = [2, 0.5, 0.25, 0.5, 2 / np.sqrt(2)]
    np.testing.assert_allclose(distance_to_boundary(points, centres), expected)


def test_losses_of_the_slide():
    softmax, hinge = of_the_slide()
    np.testing.assert_allclose(hinge, [2.9, 0, 12.9], atol=1e-5)
    assert abs(hinge.mean() - 5.27) < 5e-3
    assert abs(softmax[0] - 2.04) < 5e-3


def test_losses_by_margin():
    curves = losses_by_margin()
    for name, at_zero, at_minus_two in [("softmax", np.log(2), np.log1p(np.exp(2))), ("hinge", 1, 3)]:
        margin, loss = curves[name]
        np.testing.assert_allclose(np.interp([0, -2], margin, loss), [at_zero, at_minus_two], rtol=1e-4)
    margin, wrong = curves["wrong answer"]
    np.testing.assert_array_equal(wrong, margin < 0)
