import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.augment import Preprocess
from jaxvision.data.memory import InMemory
from jaxvision.tasks.perceptrons import answers, perceptron_task, signs
from jaxvision.training.state import create_state
from jaxvision.training.step import make_train_step

NAMES = ("left", "right", "up")
PREPROCESS = Preprocess((1, 2, 1), (0.0,), (1.0,))


def make_task(outputs, learning_rate=1.0):
    names = NAMES[: max(outputs, 2)]
    return perceptron_task(outputs, preprocess=PREPROCESS, class_names=names, learning_rate=learning_rate)


def trained(task, points, labels, order):
    """Weights [D + 1, K], the bias last, after every step on one example."""
    state = create_state(task.init(jax.random.key(0), task.hyper), task.tx, jax.random.key(1), task.hyper)
    step = jax.jit(make_train_step(task.loss_fn, task.tx))
    images, labels = jnp.array(points, jnp.float32).reshape(-1, 1, 2, 1), jnp.array(labels)
    weights = []
    for number, i in enumerate(order):
        state, metrics = step(state, {"image": images[i : i + 1], "label": labels[i : i + 1]}, number)
        assert metrics["bad_step"] == -1
        head = state.params["head"]
        weights.append(np.concatenate([head["kernel"], head["bias"][None]]))
    return state, np.array(weights)


def test_updates_by_hand():
    """Class 0 (t = -1) at (1, 0.5), class 1 (t = +1) at (-0.25, 1).

    From zero the first is wrong, as f(0) = +1: w = -(1, 0.5, 1). The second has w x = 0.25 - 0.5 - 1 < 0, wrong:
    w = (-1.25, 0.5, 0). Then w x = -1 for the first and 0.8125 for the second: both are right for good.
    """
    _, weights = trained(make_task(1), [(1, 0.5), (-0.25, 1)], [0, 1], [0, 1, 0, 1])
    settled = [-1.25, 0.5, 0]
    np.testing.assert_allclose(weights[..., 0], [[-1, -0.5, -1], settled, settled, settled], atol=1e-6)


def test_the_learning_rate_is_the_unit_of_the_weights():
    rng = np.random.default_rng(0)
    points, labels, order = rng.normal(size=(9, 2)), np.arange(9) % 2, np.arange(30) % 9
    _, ones = trained(make_task(1), points, labels, order)
    _, quarters = trained(make_task(1, learning_rate=0.25), points, labels, order)
    assert np.ptp(ones[-9:], axis=0).any()  # still making mistakes
    np.testing.assert_allclose(quarters, ones / 4, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_two_separable_examples_suffice_for_a_boundary(seed):
    """Of two clouds with a gap between them, one example each, shown in turn until none is wrong."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=2)
    direction /= np.linalg.norm(direction)
    labels = np.arange(200) % 2
    points = 0.3 * rng.normal(size=(200, 2)).clip(-1.5, 1.5) + np.where(labels == 0, -1, 1)[:, None] * direction
    task = make_task(1)
    state, weights = trained(task, points[:2], labels[:2], np.arange(100) % 2)
    np.testing.assert_array_equal(weights[-1], weights[50])
    dataset = InMemory(points.astype(np.float32).reshape(-1, 1, 2, 1), labels)
    said = answers(task, state.variables, dataset, batch_size=64)
    np.testing.assert_array_equal(said[:2, 0], [-1, 1])
    assert (said[:, 0] == 2 * labels - 1).mean() >= 0.9


def test_rows_are_trained_without_regard_to_each_other():
    """Three rows learn what three perceptrons learn, each told its class from the others."""
    rng = np.random.default_rng(1)
    points, labels, order = rng.normal(size=(12, 2)), np.arange(12) % 3, np.arange(40) % 12
    _, together = trained(make_task(3), points, labels, order)
    for row in range(3):
        _, alone = trained(make_task(1), points, (labels == row).astype(int), order)
        np.testing.assert_allclose(together[..., row], alone[..., 0], atol=1e-5)


def test_signs():
    np.testing.assert_array_equal(signs(jnp.array([0, 1, 1]), 1), [[-1], [1], [1]])
    np.testing.assert_array_equal(signs(jnp.array([2, 0]), 3), [[-1, -1, 1], [1, -1, -1]])


def test_metrics_by_hand():
    """The course's exercise: scores (0.625, -0.546) and (0.06, 0.428), so that both rows claim the second point.

    (-1, -1) has the scores (-0.03, -0.38): none does. The last example is masked.
    """
    kernel = jnp.array([[0.55, -0.32], [-0.12, 0.5]])
    variables = {"params": {"head": {"kernel": kernel, "bias": jnp.array([0.4, -0.2])}}}
    points = jnp.array([[0.3, -0.5], [-0.4, 1.0], [-1.0, -1.0], [0.3, -0.5]])
    batch = {"image": points.reshape(4, 1, 2, 1), "label": jnp.array([0, 1, 1, 1]), "mask": jnp.array([1, 1, 1, 0])}
    metrics = make_task(2).metrics_fn(variables, batch)
    assert metrics["top1"] == (1, 3) and metrics["error_none"] == metrics["error_several"] == (1, 3)
    assert metrics["loss"] == (pytest.approx(0.06 + 0.38, rel=1e-5), 3)
    single = make_task(1).metrics_fn(jax.tree.map(lambda leaf: leaf[..., :1], variables), batch)
    assert single.keys() == {"loss", "top1"} and single["top1"] == (1, 3)


def test_the_record_rebuilds_the_perceptron():
    task = make_task(3)
    record = json.loads(json.dumps(task.record))
    model = models.create(record["model"], **record["fields"])
    variables = task.init(jax.random.key(0), task.hyper)
    assert not any(leaf.any() for leaf in jax.tree.leaves(variables))
    outputs = model.apply(variables, Preprocess(**record["preprocess"])(jnp.zeros((2, 1, 2, 1))))
    np.testing.assert_array_equal(outputs, np.ones((2, 3)))
    assert record["class_names"] == list(NAMES)
