"""Training in plain Flax and optax: images float32 in memory, normalised beforehand, one jitted step."""

import time

import jax
import numpy as np
import optax

from scripts.benchmarks.networks import LEARNING_RATE, MOMENTUM, SETTINGS, normalised, random_examples
from scripts.benchmarks.networks_linen import NETWORKS


def training(name: str):
    """A run that trains the network of this name for an epoch and returns its images a second."""
    setting, model = SETTINGS[name], NETWORKS[name]()
    examples = setting.batch_size * setting.steps
    images, labels = random_examples(examples, setting.image_shape)
    images = normalised(images)
    tx = optax.sgd(LEARNING_RATE, MOMENTUM)
    key, rng = jax.random.key(0), np.random.default_rng(0)
    state = jax.jit(model.init, static_argnames="train")(key, images[:1], train=False)
    params = state.pop("params")
    opt_state = tx.init(params)

    @jax.jit
    def step(params, state, opt_state, images, labels, number):
        def loss_fn(params):
            logits, updated = model.apply(
                {"params": params, **state},
                images,
                train=True,
                rngs={"dropout": jax.random.fold_in(key, number)},
                mutable=list(state),
            )
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), updated

        (loss, state), gradients = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, opt_state = tx.update(gradients, opt_state)
        return optax.apply_updates(params, updates), state, opt_state, loss

    def run():
        nonlocal params, state, opt_state
        started = time.perf_counter()
        order = rng.permutation(examples).reshape(setting.steps, -1)
        for number, rows in enumerate(order):
            params, state, opt_state, loss = step(params, state, opt_state, images[rows], labels[rows], number)
        float(loss)
        return examples / (time.perf_counter() - started)

    return run
