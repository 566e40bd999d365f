import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.augment import Preprocess
from jaxvision.data.memory import InMemory
from jaxvision.errors import InputError
from jaxvision.losses import l1_penalty, multiclass_hinge
from jaxvision.tasks.classification import (
    class_probabilities,
    classification_figures,
    classification_task,
    first_of_each_class,
    predict,
    restore_model,
)
from jaxvision.training.run import Outcome
from jaxvision.training.state import create_state

NAMES = ("red", "green", "blue")
TX = optax.sgd(0.1)


def make_task(**options):
    return classification_task(
        "multiperceptron",
        {"act": "identity"},
        preprocess=Preprocess((1, 1, 3), (0.0,) * 3, (1.0,) * 3),
        class_names=NAMES,
        tx=TX,
        hyper={"learning_rate": 0.1},
        **options,
    )


VARIABLES = {"params": {"head": {"kernel": 10 * jnp.eye(3), "bias": jnp.zeros(3)}}}  # logits: 10 x the colour


def make_outcome(images, labels):
    test = InMemory(np.array(images, np.uint8).reshape(-1, 1, 1, 3), np.array(labels))
    counts = np.zeros((3, 3), int)
    for image, label in zip(images, labels):
        counts[label, np.argmax(image)] += 1
    state = create_state(VARIABLES, TX, jax.random.key(0), {})
    return Outcome(state, {}, [], test, {"confusion": counts}, state)


IMAGES = [(255, 0, 0), (0, 255, 0), (0, 51, 0), (0, 0, 255), (0, 0, 102), (51, 0, 0)]
LABELS = [0, 2, 2, 2, 1, 1]  # right, wrong, wrong, right, wrong, wrong


def test_predictions_by_hand():
    """A colour of strength s is seen with probability 1 / (1 + 2 exp(-10 s)). Six examples in batches of four."""
    test = make_outcome(IMAGES, LABELS).test
    predictions, probabilities = predict(make_task(), VARIABLES, test, batch_size=4)
    np.testing.assert_array_equal(predictions, [0, 1, 1, 2, 2, 0])
    np.testing.assert_allclose(probabilities, 1 / (1 + 2 * np.exp([-10, -10, -2, -10, -4, -2])), rtol=1e-5)


def test_auxiliary_losses_are_added_in_training():
    """Szegedy et al. 2014, section 5. Every classifier answers with its biases, so all losses are known."""
    weights = {"aux1_logits": 0.3, "aux2_logits": 0.5}
    task = classification_task(
        "googlenet_paper",
        {"modules": ["4a", "4d"], "width": 1 / 32, "auxiliary": True},
        preprocess=Preprocess((32, 32, 3), (0.0,) * 3, (1.0,) * 3),
        class_names=NAMES,
        tx=TX,
        hyper={"learning_rate": 0.1},
        auxiliary=weights,
    )
    params = jax.jit(task.init)(jax.random.key(0), {})["params"]
    biases = {"head": [1.0, 0.0, 0.0], "aux1": [0.0, 2.0, 0.0], "aux2": [0.0, 0.0, 3.0]}
    for name, bias in biases.items():
        classifier = params[name] if name == "head" else params[name]["head"]
        classifier.update(kernel=jnp.zeros_like(classifier["kernel"]), bias=jnp.array(bias))
    batch = {"image": np.zeros((2, 32, 32, 3), np.uint8), "label": np.array([0, 1])}
    losses, (model_state, _) = jax.jit(task.loss_fn)(params, {}, batch, jax.random.key(1), task.hyper)
    cross_entropies = {name: np.log(np.exp(bias).sum()) - np.array(bias)[:2] for name, bias in biases.items()}
    expected = cross_entropies["head"] + 0.3 * cross_entropies["aux1"] + 0.5 * cross_entropies["aux2"]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert model_state == {}


def test_figures_of_the_test_split():
    figures = classification_figures(make_task(), make_outcome(IMAGES, LABELS))
    assert figures.keys() == {"confusion", "mistakes"}
    without_mistakes = classification_figures(make_task(), make_outcome(IMAGES[:1], [0]))
    assert without_mistakes.keys() == {"confusion", "mistakes"}


def test_first_of_each_class():
    labels = np.array([2, 2, 0, 2, 1, 0])
    np.testing.assert_array_equal(first_of_each_class(InMemory(np.zeros((6, 1, 1, 1)), labels)), [2, 4, 0])


def test_the_record_rebuilds_the_model():
    task = make_task()
    model, preprocess = restore_model(json.loads(json.dumps(task.record)))
    images = np.array(IMAGES, np.uint8).reshape(-1, 1, 1, 3)
    logits = model.apply(VARIABLES, preprocess(images))
    np.testing.assert_allclose(logits, images.reshape(-1, 3) / 25.5, rtol=1e-6)
    shapes = jax.tree.map(jnp.shape, task.init(jax.random.key(0), task.hyper))
    assert shapes == jax.tree.map(jnp.shape, VARIABLES)


def test_training_loss_and_metrics_by_hand():
    images = np.array(IMAGES, np.uint8).reshape(-1, 1, 1, 3)
    labels = np.array(LABELS, np.int32)
    mask = np.array([1, 1, 1, 1, 1, 0], np.float32)
    logits = images.reshape(-1, 3) / 25.5
    expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(6), labels]

    batch = {"image": jnp.asarray(images), "label": jnp.asarray(labels), "mask": jnp.asarray(mask)}
    losses, (model_state, scalars) = make_task().loss_fn(VARIABLES["params"], {}, batch, jax.random.key(0), {})
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(scalars["top1"], [1, 0, 0, 1, 0, 0])
    assert model_state == {}

    metrics = make_task().metrics_fn(VARIABLES, batch)
    assert metrics["loss"] == pytest.approx((expected[:5].sum(), 5), rel=1e-5)
    assert metrics["top1"] == (2, 5)
    np.testing.assert_array_equal(metrics["confusion"], [[1, 0, 0], [0, 0, 1], [0, 2, 1]])


def test_augmentation_is_for_training_only_and_sees_images_in_0_1():
    def darken(key, images):
        assert images.dtype == jnp.float32
        return jnp.where(images.max() <= 1, images * 0, jnp.nan)

    task = make_task(augment=darken)
    batch = {"image": jnp.full((2, 1, 1, 3), 255, jnp.uint8).at[:, :, :, 1:].set(0), "label": jnp.zeros(2, int)}
    losses, _ = task.loss_fn(VARIABLES["params"], {}, batch, jax.random.key(0), {})
    np.testing.assert_allclose(losses, np.log(3), rtol=1e-6)
    metrics = task.metrics_fn(VARIABLES, {**batch, "mask": jnp.ones(2)})
    assert metrics["loss"][0] == pytest.approx(2 * np.log(1 + 2 * np.exp(-10)), rel=1e-2)


def penalised(weight, **hyper):
    return classification_task(
        "multiperceptron",
        {"act": "identity"},
        preprocess=Preprocess((1, 1, 3), (0.0,) * 3, (1.0,) * 3),
        class_names=NAMES,
        tx=TX,
        hyper={"learning_rate": 0.1, **hyper},
        penalties={weight: l1_penalty},
    )


def test_a_penalty_is_in_every_examples_training_loss_and_in_no_metric():
    """The weights are three tens: with 0.5 times the sum of absolute values 15 nats more."""
    batch = {
        "image": np.array(IMAGES, np.uint8).reshape(-1, 1, 1, 3),
        "label": np.array(LABELS, np.int32),
        "mask": np.ones(6, np.float32),
    }
    task, plain = penalised("l1", l1=0.0), make_task()
    losses, _ = task.loss_fn(VARIABLES["params"], {}, batch, jax.random.key(0), {"l1": jnp.float32(0.5)})
    expected, _ = plain.loss_fn(VARIABLES["params"], {}, batch, jax.random.key(0), {})
    np.testing.assert_allclose(losses, expected + 15, rtol=1e-6)
    assert task.metrics_fn(VARIABLES, batch)["loss"] == plain.metrics_fn(VARIABLES, batch)["loss"]


def test_a_penalty_needs_a_weight():
    with pytest.raises(InputError, match="penalties: l1 without a weight in hyper"):
        penalised("l1")


def test_another_loss_is_minimised_and_reported():
    """By hand: the hinge of 10 x the colour. Black has ten times nothing: a margin of 1 missed twice."""
    images = jnp.array([(255, 0, 0), (0, 51, 0), (0, 0, 0)], jnp.uint8).reshape(3, 1, 1, 3)
    batch = {"image": images, "label": jnp.array([0, 2, 1]), "mask": jnp.ones(3)}
    task = make_task(loss=multiclass_hinge)
    losses, _ = task.loss_fn(VARIABLES["params"], {}, batch, jax.random.key(0), {})
    np.testing.assert_allclose(losses, [0, 3 + 1, 2], rtol=1e-6)
    assert task.metrics_fn(VARIABLES, batch)["loss"] == (pytest.approx(6, rel=1e-6), 3)


def test_class_probabilities_by_hand():
    images = np.array([(255, 0, 0), (0, 51, 0)], np.uint8).reshape(2, 1, 1, 3)
    probabilities = class_probabilities(make_task())(VARIABLES, images)
    odds = np.exp([[10, 0, 0], [0, 2, 0]])
    np.testing.assert_allclose(probabilities, odds / odds.sum(1, keepdims=True), rtol=1e-5)
