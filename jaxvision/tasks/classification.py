"""Image classification: one label an image, softmax cross-entropy or another loss, top-1; of many classes top-5."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision import models, plots
from jaxvision.augment import ImagePreprocess, Preprocess, preprocess_of, to_float
from jaxvision.errors import InputError
from jaxvision.losses import softmax_cross_entropy
from jaxvision.metrics import confusion, majority_vote, masked_sum, mean_probability, top_k_correct
from jaxvision.ops.activations import step
from jaxvision.training.run import Outcome, Task

MANY_CLASSES = 100  # with fewer, five guesses say little


def classification_task(
    model_name: str,
    model_fields: dict,
    *,
    preprocess: Preprocess | ImagePreprocess,
    class_names: tuple[str, ...],
    tx: optax.GradientTransformation,
    hyper: dict,
    augment=None,
    loss: Callable = softmax_cross_entropy,
    penalties: dict[str, Callable] | None = None,
    auxiliary: dict[str, float] | None = None,
) -> Task:
    """Train the named model of `models` to tell `class_names` apart.

    Args:
      model_fields: fields of the model, as JSON values; the number of classes is added.
      preprocess: from images uint8 [B,H,W,C] to what the model sees; recorded with the model. What augmentation
        returns is of its `image_shape`: a crop for training is made there.
      tx: the optimiser.
      hyper: numbers a population may vary, by the names under which `tx` or the model's fields know them.
      augment: `augment(key, images) -> images` on float images in [0,1], in training only.
      loss: `loss(logits [B,K], labels [B]) -> [B]`, what is minimised and reported.
      penalties: functions params -> scalar, such as those of `losses`, by the names of their weights in `hyper`.
        Weight times penalty is added to every example's training loss, so that the mean over a batch, whatever
        its devices and mask, has it once. The loss in evaluation goes without.
      auxiliary: weights by the names of taps that are logits too, such as GoogLeNet's {"aux1_logits": 0.3}; their
        losses are added in training, so weighted.

    Raises:
      InputError: the model does not exist or has no gradient, or a penalty has no weight.
    """
    guesses = (1, 5) if len(class_names) >= MANY_CLASSES else (1,)
    fields = {**model_fields, "num_classes": len(class_names)}
    model = models.create(model_name, **fields)
    if model.act is step:
        raise InputError(f"model: {model_name} ends in a step, which has no gradient; expected multiperceptron")

    if unweighted := (penalties or {}).keys() - hyper.keys():
        raise InputError(f"penalties: {', '.join(sorted(unweighted))} without a weight in hyper")

    def init(key, hyper):
        return models.initialise(model, key, jnp.zeros((1, *preprocess.image_shape)))

    def loss_fn(params, model_state, batch, key, hyper):
        augment_key, dropout_key = jax.random.split(key)
        images = to_float(batch["image"])
        images = preprocess.of_crops(augment(augment_key, images)) if augment else preprocess(images)
        varied = {name: value for name, value in hyper.items() if name in model.__dataclass_fields__}
        logits, updated = model.clone(**varied).apply(
            {"params": params, **model_state},
            images,
            train=True,
            rngs={"dropout": dropout_key},
            mutable=[*model_state, *(["intermediates"] if auxiliary else [])],
        )
        features = updated.pop("intermediates", {})
        top1 = top_k_correct(logits, batch["label"])
        penalty = sum(hyper[name] * function(params) for name, function in (penalties or {}).items())
        early = sum(weight * loss(features[name], batch["label"]) for name, weight in (auxiliary or {}).items())
        return loss(logits, batch["label"]) + early + penalty, (updated, {"top1": top1})

    def metrics_fn(variables, batch):
        logits = model.apply(variables, preprocess(batch["image"]))
        labels, mask = batch["label"], batch["mask"]
        return {
            "loss": masked_sum(loss(logits, labels), mask),
            **{f"top{k}": masked_sum(top_k_correct(logits, labels, k), mask) for k in guesses},
            "confusion": confusion(logits, labels, mask, len(class_names)),
        }

    def ensemble_metrics_fn(members, batch):
        images, labels, mask = preprocess(batch["image"]), batch["label"], batch["mask"]
        probabilities = jax.nn.softmax(jax.vmap(model.apply, in_axes=(0, None))(members, images))
        return {
            "top1_mean_probability": masked_sum(top_k_correct(mean_probability(probabilities), labels), mask),
            "top1_vote": masked_sum(majority_vote(probabilities) == labels, mask),
        }

    record = {
        "model": model_name,
        "fields": fields,
        "preprocess": dataclasses.asdict(preprocess),
        "class_names": list(class_names),
    }
    return Task(init, loss_fn, tx, metrics_fn, hyper, record, ensemble_metrics_fn)


def classification_figures(task: Task, outcome: Outcome) -> dict:
    """The confusion matrix of the test split and its most confident mistakes, as `finish` takes them."""
    class_names, test = task.record["class_names"], outcome.test
    predictions, probabilities = predict(task, outcome.state.variables, test)
    return {
        "confusion": (
            "Confusion matrix of the test split: rows are true classes",
            plots.confusion_matrix(outcome.test_metrics["confusion"], class_names),
        ),
        "mistakes": (
            "The most confident mistakes on the test split: true class as predicted class, probability",
            plots.mistakes(
                lambda index: test.gather(index)["image"], test.labels, predictions, probabilities, class_names
            ),
        ),
    }


def predict(task: Task, variables: dict, dataset, batch_size: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest class [N] and its probability [N] for every example, computed on one device."""
    model, preprocess = restore_model(task.record)

    @jax.jit
    def surest(images):
        probabilities = jax.nn.softmax(model.apply(variables, preprocess(images)))
        return probabilities.argmax(-1), probabilities.max(-1)

    batches = dataset.evaluation_batches(min(batch_size, len(dataset)))
    columns = zip(*(jax.device_get(surest(batch["image"])) for batch in batches))
    predictions, probabilities = (np.concatenate(column)[: len(dataset)] for column in columns)
    return predictions, probabilities


def class_probabilities(task: Task) -> Callable:
    """`f(variables, images [N,H,W,C]) -> [N,K]`, the softmax of the logits, computed on one device."""
    model, preprocess = restore_model(task.record)
    return jax.jit(lambda variables, images: jax.nn.softmax(model.apply(variables, preprocess(images))))


def restore_model(record: dict):
    """(model, preprocess) as a run's record describes them."""
    return models.create(record["model"], **record["fields"]), preprocess_of(record["preprocess"])


def first_of_each_class(dataset) -> np.ndarray:
    """Positions of the first example of every class that occurs."""
    _, first = np.unique(dataset.labels, return_index=True)
    return first


def responses_figure(task: Task, outcome: Outcome, taps: tuple[str, ...]):
    """What the named layers answer to the first test image, one row a layer, as a Figure."""
    model, preprocess = restore_model(task.record)
    image = outcome.test.gather(np.array([0]))["image"]
    _, variables = model.apply(outcome.state.variables, preprocess(image), mutable="intermediates")
    named = {name: np.asarray(variables["intermediates"][name][0]) for name in taps}
    return plots.responses(named, image=image[0])
