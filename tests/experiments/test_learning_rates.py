import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.foundations.learning_rates import on_plateau, plateau_factors, sgd_by_number
from jaxvision.training.schedules import constant, step_decay

FACTORS = [constant(), step_decay(0.5, 2)]


def steps_down(number, losses):
    """Where gradient descent at a rate of 2 goes from 0 when the gradient is always 1."""
    tx = optax.inject_hyperparams(sgd_by_number(FACTORS, on_plateau(1)))(learning_rate=2.0, schedule=float(number))

    def step(carry, loss):
        point, state = carry
        updates, state = tx.update(jnp.float32(1), state, point, value=loss)
        return (point + updates, state), -updates

    start = jnp.float32(0)
    return jax.lax.scan(step, (start, tx.init(start)), jnp.float32(losses))[1]


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, [2] * 6), (1, [2, 2, 1, 1, 0.5, 0.5]), (2, [2, 2, 2, 0.6, 0.6, 0.6])],
)
def test_the_number_says_which_schedule(number, expected):
    """On the plateau the fourth loss is the third in a row that isn't better than the first."""
    np.testing.assert_allclose(steps_down(number, [5.0] * 4 + [4.0, 3.0]), expected, rtol=1e-6)


def test_what_the_plateau_made_of_a_loss():
    np.testing.assert_allclose(plateau_factors([5.0, 5, 5, 5, 4, 4, 4, 4]), [1, 1, 1, 0.3, 0.3, 0.3, 0.3, 0.09])
