"""Training in PyTorch on the same batches gives the same parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision import augment, data
from jaxvision.parallel import make_layout
from jaxvision.tasks.classification import classification_task
from jaxvision.training.dispatch import make_advance
from jaxvision.training.loop import Loop, fit
from jaxvision.training.state import create_state
from jaxvision.training.step import make_train_step

STEPS, BATCH_SIZE, LEARNING_RATE = 30, 16, 1e-2


@pytest.mark.parity
def test_mlp_with_adam():
    import torch

    splits = data.fake("digits")
    images, labels = splits.train.resident()["image"], splits.train.labels
    task = classification_task(
        "mlp",
        {"features": [32]},
        preprocess=augment.Preprocess(splits.info.image_shape, (0.5,), (0.25,)),
        class_names=splits.info.class_names,
        tx=optax.inject_hyperparams(optax.adam)(learning_rate=0.0),
        hyper={"learning_rate": LEARNING_RATE},
    )
    layout, order = make_layout("replicate"), splits.training_order(BATCH_SIZE, seed=3)
    state = create_state(task.init(jax.random.key(0), task.hyper), task.tx, jax.random.key(1), task.hyper)
    initial = jax.tree.map(np.array, state.params)
    advance = make_advance(
        make_train_step(task.loss_fn, task.tx), splits.train, order=order, layout=layout, steps_per_dispatch=7
    )
    ours = fit(Loop(layout.place(state), 0, STEPS), advance).params

    hidden, head = torch.nn.Linear(images[0].size, 32), torch.nn.Linear(32, 10)
    for layer, name in ((hidden, "hidden1"), (head, "head")):
        layer.weight.data = torch.from_numpy(initial[name]["kernel"].T.copy())
        layer.bias.data = torch.from_numpy(initial[name]["bias"])
    network = torch.nn.Sequential(hidden, torch.nn.ReLU(), head)
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    inputs = torch.from_numpy((images.reshape(len(images), -1) / np.float32(255) - 0.5) / 0.25).float()
    for step in range(STEPS):
        rows = torch.from_numpy(order.batch(step)).long()
        targets = torch.from_numpy(labels).long()[rows]
        loss = torch.nn.functional.cross_entropy(network(inputs[rows]), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    for layer, name in ((hidden, "hidden1"), (head, "head")):
        expected = layer.weight.detach().numpy().T
        difference = jnp.abs(ours[name]["kernel"] - expected).max() / np.abs(expected).max()
        assert difference <= 1e-4, name
