import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.parallel import LAYOUTS, make_layout
from jaxvision.training.state import create_state
from jaxvision.training.step import make_train_step

X = np.array([1.0, 2.0, 3.0, 99.0], np.float32)
Y = np.array([1.0, 1.0, 2.0, 0.0], np.float32)


def squared_error(params, model_state, batch, key, hyper):
    error = params["w"] * batch["x"] - batch["y"]
    return error**2, ({"seen": model_state["seen"] + 1}, {"distance": jnp.abs(error)})


def initial_state(tx, **hyper):
    variables = {"params": {"w": jnp.float32(2.0)}, "seen": jnp.int32(0)}
    return create_state(variables, tx, jax.random.key(0), hyper)


def run(step, state, batch, *, layout="replicate", devices=2, expected_step=0):
    layout = make_layout(layout, jax.devices()[:devices])
    bound = layout.bind(step, (None, 0, None))
    state, metrics = bound(layout.place(state), layout.place_batch(batch), layout.place(np.int32(expected_step)))
    return jax.device_get((state, metrics))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("devices", [1, 2])
def test_the_gradient_is_of_the_global_mean(layout, devices):
    """Two devices hold two and one examples: a mean of the devices' means would be another number.

    The errors of w = 2 are 1, 3, 4: their squares' mean is 26/3, its derivative 2 (1*1 + 3*2 + 4*3) / 3 = 38/3.
    """
    tx = optax.sgd(0.3)
    batch = {"x": X, "y": Y, "mask": np.array([1, 1, 1, 0], np.float32)}
    state, metrics = run(
        make_train_step(squared_error, tx), initial_state(tx), batch, layout=layout, devices=devices
    )
    assert state.params["w"] == pytest.approx(2 - 0.3 * 38 / 3, rel=1e-6)
    assert state.step == 1 and state.model_state["seen"] == 1
    assert metrics["loss"] == pytest.approx((26, 3))
    assert metrics["distance"] == pytest.approx((8, 3))
    assert metrics["bad_step"] == -1


def test_hyper_is_what_the_optimiser_uses():
    tx = optax.inject_hyperparams(optax.sgd)(learning_rate=0.3)
    batch = {"x": X[:2], "y": Y[:2], "mask": np.ones(2, np.float32)}
    step = make_train_step(squared_error, tx)
    gradient = 1 * 1 + 3 * 2
    for learning_rate in (0.3, 0.01):
        state, _ = run(step, initial_state(tx, learning_rate=learning_rate), batch)
        assert state.params["w"] == pytest.approx(2 - learning_rate * gradient, rel=1e-6)


def test_hyper_reaches_an_optimiser_inside_a_chain():
    from jaxvision.training.schedules import cosine, scheduled

    tx = scheduled(optax.sgd, cosine(2), learning_rate=1.0)
    batch = {"x": X[:2], "y": Y[:2], "mask": np.ones(2, np.float32)}
    step = make_train_step(squared_error, tx)
    first, _ = run(step, initial_state(tx, learning_rate=0.01), batch)
    second, _ = run(step, first, batch, expected_step=1)
    assert first.params["w"] == pytest.approx(2 - 0.01 * 7, rel=1e-6)
    w = float(first.params["w"])  # half-way down the cosine the factor is a half
    assert second.params["w"] == pytest.approx(w - 0.5 * 0.01 * ((w - 1) + 2 * (2 * w - 1)), rel=1e-6)


def test_keys_differ_from_step_to_step_and_not_from_run_to_run():
    def noise(params, model_state, batch, key, hyper):
        return params["w"] * 0 + jax.random.normal(key, batch["x"].shape), (model_state, {})

    tx = optax.sgd(0.0)
    batch = {"x": X[:2]}
    step = make_train_step(noise, tx)
    state, first = run(step, initial_state(tx), batch, devices=1)
    _, again = run(step, initial_state(tx), batch, devices=1)
    _, second = run(step, state, batch, devices=1, expected_step=1)
    assert first["loss"] == again["loss"] != second["loss"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_step_changes_nothing(layout, bad):
    tx = optax.adam(0.1)
    before = jax.device_get(initial_state(tx))
    batch = {"x": np.array([1.0, bad], np.float32), "y": Y[:2], "mask": np.ones(2, np.float32)}
    state, metrics = run(make_train_step(squared_error, tx), before, batch, layout=layout)
    jax.tree.map(np.testing.assert_array_equal, state, before)
    assert metrics["bad_step"] == 0
    assert metrics["loss"] == (0, 0)


def test_a_finite_loss_with_a_gradient_that_is_not_is_bad():
    def root(params, model_state, batch, key, hyper):
        return jnp.sqrt(params["w"] * batch["x"]), (model_state, {})

    tx = optax.sgd(0.1)
    before = jax.device_get(initial_state(tx))
    state, metrics = run(make_train_step(root, tx), before, {"x": np.zeros(2, np.float32)})
    assert metrics["bad_step"] == 0
    jax.tree.map(np.testing.assert_array_equal, state, before)


def test_a_step_out_of_turn_does_nothing_and_is_not_bad_itself():
    tx = optax.sgd(0.1)
    before = jax.device_get(initial_state(tx))
    batch = {"x": X[:2], "y": Y[:2], "mask": np.ones(2, np.float32)}
    state, metrics = run(make_train_step(squared_error, tx), before, batch, expected_step=1)
    jax.tree.map(np.testing.assert_array_equal, state, before)
    assert metrics["bad_step"] == -1 and metrics["loss"] == (0, 0)
