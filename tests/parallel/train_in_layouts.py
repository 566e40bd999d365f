"""Trains 20 steps in every layout and saves the parameters; a program, so that a test can start several processes.

usage: train_in_layouts.py OUT.npz DEVICES [DEVICES ...]
"""

import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision import augment, data
from jaxvision.batch_axis import BATCH_AXIS
from jaxvision.losses import softmax_cross_entropy
from jaxvision.models.blocks import Dense, Dropout
from jaxvision.parallel import LAYOUTS, make_layout, multihost
from jaxvision.training.dispatch import make_advance
from jaxvision.training.loop import Loop, fit
from jaxvision.training.state import create_state
from jaxvision.training.step import make_train_step

STEPS = 20


class Net(nn.Module):
    """Everything that could depend on the number of devices: dropout, batch statistics, a wide layer to cut."""

    @nn.compact
    def __call__(self, images, train):
        x = nn.Conv(8, (3, 3), use_bias=False)(images)
        x = nn.BatchNorm(use_running_average=not train, axis_name=BATCH_AXIS)(x)
        x = nn.relu(x).reshape(len(x), -1)
        x = Dropout(0.5)(nn.relu(Dense(64)(x)), train=train)
        return nn.Dense(10)(x)


def loss_fn(params, model_state, batch, key, hyper):
    images = augment.translate(key, augment.to_float(batch["image"]), max_shift_px=2)
    logits, model_state = Net().apply(
        {"params": params, **model_state}, images, True, rngs={"dropout": key}, mutable=["batch_stats"]
    )
    return softmax_cross_entropy(logits, batch["label"]), (model_state, {})


def train(layout, steps_per_dispatch):
    splits = data.load("digits", fake=True)
    tx = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1, momentum=0.9)
    images = jnp.zeros((1, *splits.info.image_shape))
    variables = Net().init(jax.random.key(0), images, False)
    state = create_state(variables, tx, jax.random.key(1), {"learning_rate": 0.05})
    advance = make_advance(
        make_train_step(loss_fn, tx),
        splits.train,
        order=splits.training_order(16, 0),
        layout=layout,
        steps_per_dispatch=steps_per_dispatch,
    )
    state = fit(Loop(layout.place(state), 0, STEPS), advance)
    return multihost.fetch(state.variables)


def main(out, *counts):
    multihost.initialise()
    results = {}
    for name in LAYOUTS:
        for count in map(int, counts):
            runs = ("", "again", "8 steps a dispatch") if count == 2 else ("",)
            for run in runs:
                layout = make_layout(name, jax.devices()[:count])
                variables = train(layout, 8 if run.startswith("8") else 1)
                for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
                    results[f"{name} {count} {run}:{jax.tree_util.keystr(path)}"] = leaf
    if multihost.is_lead():
        np.savez(out, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
