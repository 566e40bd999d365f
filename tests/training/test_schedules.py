import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.errors import InputError
from jaxvision.parallel import LAYOUTS, make_layout
from jaxvision.training.descent import descend
from jaxvision.training.schedules import constant, cosine, inverse_time, plateau, scheduled, step_decay, warm_up
from jaxvision.training.state import create_state, inject_hyper
from jaxvision.training.step import make_train_step

BY_HAND = [  # schedule, factor by step
    (constant(), {0: 1, 1: 1, 1000: 1}),
    (step_decay(0.1, 3), {0: 1, 2: 1, 3: 0.1, 5: 0.1, 6: 0.01, 8: 0.01, 9: 0.001}),
    (step_decay(1.0, 1), {0: 1, 5: 1}),
    (inverse_time(0.5), {0: 1, 1: 2 / 3, 2: 1 / 2, 6: 1 / 4}),
    (inverse_time(1.0, 0.5), {0: 1, 3: 1 / 2, 8: 1 / 3}),
    (inverse_time(1.0, 0.0), {0: 1, 7: 1}),
    (cosine(4), {0: 1, 1: (1 + 0.5**0.5) / 2, 2: 1 / 2, 3: (1 - 0.5**0.5) / 2, 4: 0, 5: 0}),
    (warm_up(4, constant()), {0: 0.2, 1: 0.4, 2: 0.6, 3: 0.8, 4: 1, 5: 1}),
    (warm_up(1, cosine(2)), {0: 1 / 2, 1: 1, 2: 1 / 2, 3: 0}),
    (warm_up(2, step_decay(0.5, 2)), {0: 1 / 3, 1: 2 / 3, 2: 1, 3: 1, 4: 0.5, 6: 0.25}),
    (warm_up(0, inverse_time(1.0)), {0: 1, 1: 1 / 2}),
]


@pytest.mark.parametrize(("schedule", "factors"), BY_HAND)
def test_by_hand(schedule, factors):
    steps = jnp.array(list(factors), jnp.int32)
    expected = np.array(list(factors.values()), np.float32)
    together = jax.jit(jax.vmap(lambda step: jnp.asarray(schedule(step), jnp.float32)))(steps)
    for ours in (together, [schedule(step) for step in factors]):
        np.testing.assert_allclose(np.array(ours), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("every_steps", [3, 41, 47, 107, 391])
def test_steps_fall_exactly_when_they_should(every_steps):
    """A quotient in float32 may be rounded to just below the whole number it is."""
    steps = np.arange(100 * every_steps)
    factors = jax.jit(jax.vmap(step_decay(0.5, every_steps)))(steps)
    np.testing.assert_array_equal(factors, np.ldexp(np.float32(1), -(steps // every_steps)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: step_decay(0.0, 3), r"gamma 0.0: expected a number in \(0, 1\]"),
        (lambda: step_decay(1.5, 3), "gamma 1.5"),
        (lambda: step_decay(0.1, 0), "every_steps 0: expected at least 1"),
        (lambda: cosine(0), "total_steps 0: expected at least 1"),
        (lambda: inverse_time(-0.1), "gamma -0.1, power 1.0: expected"),
        (lambda: inverse_time(0.1, -1.0), "power -1.0: expected"),
        (lambda: warm_up(-1, constant()), "warmup_steps -1: expected at least 0"),
        (lambda: plateau(accumulation_size=0), "accumulation_size 0: expected at least 1"),
        (lambda: plateau(accumulation_size=1, patience=0), "patience 0: expected at least 1"),
        (lambda: plateau(accumulation_size=1, cooldown=-1), "cooldown -1: expected at least 0"),
        (lambda: plateau(accumulation_size=1, factor=1.0), "factor 1.0: expected a number between 0 and 1"),
        (lambda: plateau(accumulation_size=1, rtol=0.0), r"rtol 0.0: expected a number in \(0, 1\]"),
        (lambda: plateau(accumulation_size=1, min_factor=2.0), r"min_factor 2.0: expected a number in \[0, 1\]"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_schedule_and_a_warm_up_scale_the_steps_of_an_optimiser():
    tx = scheduled(optax.sgd, warm_up(1, step_decay(0.1, 2)), learning_rate=0.5)
    path = descend(lambda w: 3 * w, tx, jnp.float32(0.0), steps=5)
    np.testing.assert_allclose(np.diff(path), -1.5 * np.array([0.5, 1, 1, 0.1, 0.1]), rtol=1e-5)


def factors_of(tx, values):
    """By which factors a transformation scales the updates of steps with these losses."""
    params = jnp.float32(0.0)

    def step(state, value):
        update, state = tx.update(jnp.float32(1.0), state, params, value=value)
        return state, update

    return jax.jit(lambda values: jax.lax.scan(step, tx.init(params), values)[1])(jnp.float32(values))


IMPROVING_ONCE = [
    4.0,
    2.0,
    3.0,
    3.0,
    3.5,
    3.5,
    1.0,
    1.0,
    0.5,
    1.5,
    1.0,
    1.0,
    2.0,
    2.0,
    2.0,
    2.0,
]  # averages of two:
#                    3         3         3.5       1         1         1         2         2


@pytest.mark.parametrize(
    ("options", "factors"),
    [
        ({}, [1] * 5 + [0.5] * 6 + [0.25] * 4 + [0.125]),
        ({"min_factor": 0.2}, [1] * 5 + [0.5] * 6 + [0.25] * 4 + [0.2]),
        ({"patience": 4}, [1] * 15 + [0.5]),
        ({"cooldown": 3}, [1] * 5 + [0.5] * 10 + [0.25]),
        ({"rtol": 0.7}, [1] * 5 + [0.5] * 4 + [0.25] * 4 + [0.125] * 3),
    ],
)
def test_plateau_by_hand(options, factors):
    """With rtol 0.7 an average of 1 is no improvement on 3."""
    tx = plateau(**{"accumulation_size": 2, "factor": 0.5, "patience": 2, **options})
    np.testing.assert_allclose(factors_of(tx, IMPROVING_ONCE), factors, rtol=1e-6)


def test_an_optimiser_that_jumps_over_a_minimum_comes_to_rest_on_a_plateau():
    """|w| from 1/4 with steps of 1/2: the loss stays the same, so after two more of them the steps are halved."""
    tx = optax.chain(
        scheduled(optax.sgd, constant(), learning_rate=0.5), plateau(accumulation_size=1, factor=0.5, patience=2)
    )
    path = descend(jnp.abs, tx, jnp.float32(0.25), steps=3)
    np.testing.assert_array_equal(path, [0.25, -0.25, 0.25, 0])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_train_step_hands_a_plateau_the_mean_loss_of_the_whole_batch(layout):
    """The mean of |w - 0| on one device and |w - 1| on the other is 1/2 wherever w is between them."""

    def loss_fn(params, model_state, batch, key, hyper):
        return jnp.abs(params["w"] - batch["x"]), (model_state, {})

    tx = optax.chain(scheduled(optax.sgd, constant(), learning_rate=0.5), plateau(accumulation_size=1, patience=2))
    layout = make_layout(layout, jax.devices()[:2])
    bound = layout.bind(make_train_step(loss_fn, tx), (None, 0, None))
    variables = {"params": {"w": jnp.float32(0.75)}}
    state = layout.place(create_state(variables, tx, jax.random.key(0), {"learning_rate": 0.5}))
    batch = layout.place_batch({"x": np.float32([0, 1]), "mask": np.ones(2, np.float32)})
    plateaus = []
    for step in range(4):
        state, _ = bound(state, batch, layout.place(np.int32(step)))
        plateaus.append(jax.device_get(state.opt_state[1]))
    np.testing.assert_allclose([plateau.scale for plateau in plateaus], [1, 1, 0.1, 0.1], rtol=1e-6)
    assert [plateau.best_value for plateau in plateaus] == [0.5] * 4


def test_plateaus_of_a_population_are_those_of_its_members():
    tx = optax.chain(
        scheduled(optax.sgd, constant(), learning_rate=1.0), plateau(accumulation_size=2, factor=0.5, patience=2)
    )

    def path(learning_rate):
        def step(carry, _):
            w, state = carry
            state = inject_hyper(state, {"learning_rate": learning_rate})
            value, gradient = jax.value_and_grad(jnp.abs)(w)
            update, state = tx.update(gradient, state, w, value=value)
            return (w + update, state), w

        w = jnp.float32(1.05)
        return jax.lax.scan(step, (w, tx.init(w)), length=40)[1]

    rates = jnp.float32([0.01, 0.1, 0.7])
    together = jax.jit(jax.vmap(path))(rates)
    for rate, ours in zip(rates, together):
        np.testing.assert_allclose(ours, jax.jit(path)(rate), atol=1e-6)
    assert (
        len(np.unique(np.round(np.abs(np.diff(together)), 4)[2])) > 2
    )  # of this member at least the steps did fall
