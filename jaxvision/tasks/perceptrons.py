"""Perceptrons: each answers +1 or -1. One tells two classes apart, or each of several one class from all others."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision import models
from jaxvision.augment import Preprocess
from jaxvision.losses import perceptron_criterion
from jaxvision.metrics import masked_sum
from jaxvision.ops.activations import identity, step
from jaxvision.tasks.classification import restore_model
from jaxvision.training.run import Task


def perceptron_task(
    outputs: int, *, preprocess: Preprocess, class_names: tuple[str, ...], learning_rate: float
) -> Task:
    """Train y = f(x W^T + b) from W = 0 by gradient descent on the perceptron criterion.

    A batch of one makes it the perceptron's rule w <- w + learning_rate x t for what is misclassified (Rosenblatt
    1958). From zero the learning rate is a unit of length for the weights: the answers don't depend on it.

    "top1" is the part of images all of whose answers are right. For several outputs "error_none" and
    "error_several" are the parts for which no output and more than one says +1: a step can't rank them.

    Args:
      outputs: 1 to tell class 1 (+1) from class 0 (-1), or the number of classes.
      preprocess: from images uint8 [B,H,W,C] to what the model sees; recorded with the model.
    """
    fields = {"num_classes": outputs}
    model = models.create("perceptron", **fields)
    scorer = model.clone(act=identity)

    def init(key, hyper):
        fresh = models.initialise(model, key, jnp.zeros((1, *preprocess.image_shape)))
        return jax.tree.map(jnp.zeros_like, fresh)

    def judge(variables, batch):
        scores = scorer.apply(variables, preprocess(batch["image"]))
        targets = signs(batch["label"], outputs)
        answers = step(scores)
        scalars = {"top1": jnp.all(answers == targets, axis=1)}
        if outputs > 1:
            positive = jnp.sum(answers > 0, axis=1)
            scalars |= {"error_none": positive == 0, "error_several": positive > 1}
        return perceptron_criterion(scores, targets), scalars

    def loss_fn(params, model_state, batch, key, hyper):
        losses, scalars = judge({"params": params}, batch)
        return losses, (model_state, scalars)

    def metrics_fn(variables, batch):
        losses, scalars = judge(variables, batch)
        return {name: masked_sum(values, batch["mask"]) for name, values in {"loss": losses, **scalars}.items()}

    record = {
        "model": "perceptron",
        "fields": fields,
        "preprocess": dataclasses.asdict(preprocess),
        "class_names": list(class_names),
    }
    tx = optax.inject_hyperparams(optax.sgd)(learning_rate)
    return Task(init, loss_fn, tx, metrics_fn, {"learning_rate": learning_rate}, record)


def signs(labels: jax.Array, outputs: int) -> jax.Array:
    """The right answers [B, outputs], +1 or -1, for labels [B].

    Of a single output +1 for class 1 and -1 for class 0; of several +1 for the own class alone.
    """
    classes = jnp.array([1]) if outputs == 1 else jnp.arange(outputs)
    return jnp.where(labels[:, None] == classes[None], 1, -1)


def answers(task: Task, variables: dict, dataset, batch_size: int = 1000) -> np.ndarray:
    """What the perceptrons of a task say, +1 or -1 [N, outputs], about every example, computed on one device."""
    model, preprocess = restore_model(task.record)
    answer = jax.jit(lambda images: model.apply(variables, preprocess(images)))
    batches = dataset.evaluation_batches(min(batch_size, len(dataset)))
    return np.concatenate([np.asarray(answer(batch["image"])) for batch in batches])[: len(dataset)]
