"""Training as an experiment does it: images uint8 in memory, normalised on the device, our step and loop."""

import time

import jax
import jax.numpy as jnp
import optax

from jaxvision import data, models
from jaxvision.augment import Preprocess, to_float
from jaxvision.losses import softmax_cross_entropy
from jaxvision.parallel import make_layout
from jaxvision.training.dispatch import make_advance
from jaxvision.training.loop import Loop, fit
from jaxvision.training.state import create_state
from jaxvision.training.step import make_train_step
from scripts.benchmarks.networks import LEARNING_RATE, MEAN, MOMENTUM, SETTINGS, STD, random_examples
from scripts.benchmarks.networks_ours import NETWORKS


def training(name: str):
    """A run that trains the network of this name for an epoch and returns its images a second."""
    setting, model = SETTINGS[name], NETWORKS[name]()
    channels = setting.image_shape[-1]
    preprocess = Preprocess(setting.image_shape, channels * (MEAN,), channels * (STD,))

    def loss_fn(params, model_state, batch, key, hyper):
        logits, updated = model.apply(
            {"params": params, **model_state},
            preprocess(to_float(batch["image"])),
            train=True,
            rngs={"dropout": key},
            mutable=list(model_state),
        )
        return softmax_cross_entropy(logits, batch["label"]), (updated, {})

    examples = setting.batch_size * setting.steps
    train = data.InMemory(*random_examples(examples, setting.image_shape))
    tx = optax.inject_hyperparams(optax.sgd)(LEARNING_RATE, MOMENTUM)
    layout = make_layout("replicate")
    order = data.TrainingOrder(examples, setting.batch_size, seed=0)
    advance = make_advance(make_train_step(loss_fn, tx), train, order=order, layout=layout)
    key = jax.random.key(0)
    variables = models.initialise(model, key, jnp.zeros((1, *setting.image_shape)))
    loop = Loop(layout.place(create_state(variables, tx, key, {"learning_rate": LEARNING_RATE})), 0, 0)

    def run():
        loop.total_steps += setting.steps
        started = time.perf_counter()
        fit(loop, advance)
        return examples / (time.perf_counter() - started)

    return run
