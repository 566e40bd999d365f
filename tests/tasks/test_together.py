from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.augment import Preprocess
from jaxvision.errors import InputError
from jaxvision.tasks.classification import classification_task
from jaxvision.tasks.together import together
from jaxvision.training.state import create_state
from jaxvision.training.step import make_train_step

HYPER = {"learning_rate": 0.1}
TX = optax.adam(0.1)


def make_task(**fields):
    return classification_task(
        "mlp",
        {"features": [3], **fields},
        preprocess=Preprocess((2, 2, 1), (0.5,), (0.5,)),
        class_names=("a", "b"),
        tx=TX,
        hyper=HYPER,
    )


TASKS = {"plain": make_task(act="tanh"), "normalised": make_task(norm="batch")}
BATCH = {
    "image": np.arange(32, dtype=np.uint8).reshape(8, 2, 2, 1) * 8,
    "label": np.arange(8) % 2,
    "mask": np.array([1.0] * 7 + [0.0], np.float32),
}


def trained(task, steps=3):
    key = jax.random.key(1)
    state = create_state(task.init(key, HYPER), task.tx, key, HYPER)
    step = jax.jit(make_train_step(task.loss_fn, task.tx))
    for number in range(steps):
        state, metrics = step(state, BATCH, number)
    return state, metrics


def test_each_is_trained_as_it_would_be_alone():
    state, metrics = trained(together(TASKS, TX, HYPER))
    alone = {name: trained(task) for name, task in TASKS.items()}
    for name, (one, found) in alone.items():
        close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
        jax.tree.map(close, state.params[name], one.params)
        close(metrics[f"loss_{name}"], found["loss"])
        close(metrics[f"top1_{name}"], found["top1"])
    np.testing.assert_allclose(state.model_state["batch_stats"]["normalised"]["norm1"]["mean"].shape, (3,))
    assert list(state.model_state["batch_stats"]) == ["normalised"]
    total = sum(found["loss"][0] for _, found in alone.values())
    np.testing.assert_allclose(metrics["loss"], (total, 7), rtol=1e-5)


def test_each_is_evaluated_as_it_would_be_alone():
    task = together(TASKS, TX, HYPER)
    variables = task.init(jax.random.key(0), HYPER)
    found = task.metrics_fn(variables, BATCH)
    alone = {name: one.metrics_fn(one.init(jax.random.key(0), HYPER), BATCH) for name, one in TASKS.items()}
    for name, metrics in alone.items():
        np.testing.assert_allclose(found[f"loss_{name}"], metrics["loss"], rtol=1e-6)
        np.testing.assert_array_equal(found[f"top1_{name}"], metrics["top1"])
    assert jnp.isclose(found["loss"][0], sum(metrics["loss"][0] for metrics in alone.values()))
    assert found["loss"][1] == 7


def test_no_task_is_refused():
    with pytest.raises(InputError, match="no task"):
        together({}, TX, HYPER)
