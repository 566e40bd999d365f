import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.data.memory import InMemory
from jaxvision.data.order import TrainingOrder
from jaxvision.errors import InputError
from jaxvision.parallel import LAYOUTS, make_layout
from jaxvision.training.dispatch import make_advance, memory_of
from jaxvision.training.loop import Hook, Loop, fit
from jaxvision.training.state import create_state
from jaxvision.training.step import make_train_step

TX = optax.sgd(0.05, momentum=0.9)
ORDER = TrainingOrder(num_examples=20, batch_size=8, seed=3)
STEPS = 11


def loss_fn(params, model_state, batch, key, hyper):
    """Least squares on the pixels, with noise that depends on the step; image 255 makes it infinite."""
    pixels = batch["image"].reshape(len(batch["label"]), -1).astype(jnp.float32) / 254
    error = pixels @ params["w"] - batch["label"] + 0.1 * jax.random.normal(key, ())
    return jnp.where(pixels.max(-1) > 1, jnp.inf, error**2), (model_state, {"error": error})


def dataset(poisoned=None):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (20, 2, 2, 1), np.uint8)
    if poisoned is not None:
        images[poisoned] = 255
    return InMemory(images, rng.integers(0, 3, 20))


def training(layout="replicate", steps_per_dispatch=1, examples=None, loss=loss_fn):
    """(loop, advance) at the start of training."""
    layout = make_layout(layout)
    state = create_state({"params": {"w": jnp.zeros(4)}}, TX, jax.random.key(0), {})
    advance = make_advance(
        make_train_step(loss, TX),
        examples or dataset(),
        order=ORDER,
        layout=layout,
        steps_per_dispatch=steps_per_dispatch,
    )
    return Loop(layout.place(state), 0, STEPS), advance


@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_steps_a_dispatch_are_as_many_single_steps(layout):
    alone, advance = training(layout)
    fit(alone, advance)
    together, advance = training(layout, 4)  # 4 + 4 + 3
    fit(together, advance)
    assert together.state.step == alone.state.step == STEPS
    np.testing.assert_allclose(together.state.params["w"], alone.state.params["w"], rtol=1e-5, atol=1e-7)
    for name in ("loss", "error"):
        np.testing.assert_allclose(together.sums[name], alone.sums[name], rtol=1e-5)


def test_single_steps_are_the_ones_the_order_names():
    """The same training in numpy, from the definition."""
    loop, advance = training()
    fit(loop, advance)
    w, velocity, data = np.zeros(4), np.zeros(4), dataset()
    for step in range(STEPS):
        batch = data.gather(ORDER.batch(step))
        noise = 0.1 * jax.random.normal(jax.random.fold_in(jax.random.key(0), step), ())
        pixels = batch["image"].reshape(8, -1) / 254
        error = pixels @ w - batch["label"] + float(noise)
        velocity = 0.9 * velocity + (2 * error[:, None] * pixels).mean(0)
        w = w - 0.05 * velocity
    np.testing.assert_allclose(loop.state.params["w"], w, rtol=1e-4)


@pytest.mark.parametrize("steps_per_dispatch", [1, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_checking_traces_what_the_first_dispatch_runs(layout, steps_per_dispatch):
    traced = []

    def counted_loss(*arguments):
        traced.append(1)
        return loss_fn(*arguments)

    loop, advance = training(layout, steps_per_dispatch, loss=counted_loss)
    advance.check(loop.state)
    traces = len(traced)
    fit(loop, advance)
    assert len(traced) == traces >= 1


def test_checking_raises_what_the_loss_refuses():
    def refuse(*arguments):
        raise InputError("images: too small")

    loop, advance = training(loss=refuse)
    with pytest.raises(InputError, match="too small"):
        advance.check(loop.state)


@pytest.mark.parametrize("steps_per_dispatch", [1, 4])
def test_a_bad_step_stops_training_where_it_was(steps_per_dispatch):
    """An example that first comes in step 2; of four steps a dispatch the last then does nothing."""
    bad_step = 2
    loop, advance = training(steps_per_dispatch=steps_per_dispatch, examples=dataset(ORDER.batch(bad_step)[0]))
    with pytest.raises(InputError) as error:
        fit(loop, advance)
    assert f"not finite at step {bad_step}:" in str(error.value)
    assert str(error.value).endswith(": " + ", ".join(map(str, ORDER.batch(bad_step))))

    good, advance = training(steps_per_dispatch=steps_per_dispatch)
    good.total_steps = bad_step
    fit(good, advance)
    assert loop.state.step == bad_step
    np.testing.assert_allclose(loop.state.params["w"], good.state.params["w"], rtol=1e-6)
    if steps_per_dispatch == 1:
        jax.tree.map(np.testing.assert_array_equal, jax.device_get(loop.state), jax.device_get(good.state))


@pytest.mark.parametrize("steps_per_dispatch", [1, 2, 100])
def test_a_dispatch_ends_at_every_hook(steps_per_dispatch):
    fired = []
    hooks = [Hook(every, lambda loop, every=every: fired.append((loop.step, every))) for every in (3, 5)]
    loop, advance = training(steps_per_dispatch=steps_per_dispatch)
    dispatched = []
    fit(loop, advance, hooks=tuple(hooks), on_dispatch=lambda loop: dispatched.append(loop.step))
    assert fired == [(3, 3), (5, 5), (6, 3), (9, 3), (10, 5), (11, 3), (11, 5)]
    by_hand = {1: list(range(1, 12)), 2: [2, 3, 5, 6, 8, 9, 10, 11], 100: [3, 5, 6, 9, 10, 11]}
    assert dispatched == by_hand[steps_per_dispatch]


def test_sums_are_of_the_steps_since_a_hook_took_them():
    loop, advance = training()
    alone, single = training()
    lines = []

    def log(loop):
        lines.append(loop.sums)
        loop.sums = {}

    fit(loop, advance, hooks=(Hook(4, log),))
    each = []
    fit(alone, single, hooks=(Hook(1, lambda loop: (each.append(loop.sums["loss"]), loop.sums.clear())),))
    assert [line["loss"][1] for line in lines] == [32, 32, 24]
    assert lines[1]["loss"][0] == pytest.approx(sum(total for total, _ in each[4:8]))


def test_a_hook_may_stop_training():
    loop, advance = training()
    fit(loop, advance, hooks=(Hook(4, lambda loop: setattr(loop, "stop", True)),))
    assert loop.step == loop.state.step == 4


def test_hooks_fire_once_where_sigterm_comes_between_two_steps(monkeypatch):
    """Asked to end before the first step after step 4: nothing is logged or judged a second time."""
    from contextlib import nullcontext

    from jaxvision.training import loop as loop_module

    monkeypatch.setattr(loop_module, "termination_noted", lambda: nullcontext(lambda: True))
    loop, advance = training()
    loop.step = 4
    fired, left = [], []
    with pytest.raises(SystemExit):
        fit(loop, advance, hooks=(Hook(4, fired.append),), on_terminate=left.append)
    assert not fired and left == [loop]


def test_a_data_set_too_large_for_the_devices(monkeypatch):
    monkeypatch.setattr(InMemory, "resident", lambda self: None)
    with pytest.raises(InputError, match="--steps-per-dispatch 1"):
        training(steps_per_dispatch=2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_memory_of_a_step_is_that_of_one_device(layout):
    loop, advance = training(layout)
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(loop.state))  # too small to be cut
    rows = ORDER.batch_size // jax.device_count()
    assert memory_of(advance.compile(loop.state))["arguments"] == state + rows * (4 + 4) + 4  # images, labels; step


def test_the_memory_of_many_steps_holds_all_examples():
    loop, advance = training(steps_per_dispatch=4)
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(loop.state))
    indices = 4 * ORDER.batch_size // jax.device_count() * 4
    assert memory_of(advance.compile(loop.state))["arguments"] == state + 20 * (4 + 4) + indices + 2 * 4


def test_no_step_of_many_copies_what_the_optimiser_keeps():
    def loss_of_products(params, model_state, batch, key, hyper):
        products = jnp.ones((len(batch["label"]), 128)) * batch["label"][:, None] @ params["w"]
        return (products**2).sum(-1), (model_state, {})

    tx = optax.adam(0.01)
    state = create_state({"params": {"w": jnp.ones((128, 96))}}, tx, jax.random.key(0), {})
    layout = make_layout("replicate", jax.devices()[:1])
    step = make_train_step(loss_of_products, tx)
    advance = make_advance(step, dataset(), order=ORDER, layout=layout, steps_per_dispatch=4)
    program = advance.compile(layout.place(state)).as_text()
    body = program[: program.index("\nENTRY")]
    assert body.count("dot(") >= 2 and not re.findall(r"= f32\[128,96\]\S* copy\(", body)
