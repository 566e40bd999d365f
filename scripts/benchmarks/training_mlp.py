"""The multilayer perceptron 784-64-10 with Adam on images like MNIST's, an epoch a run.

Ours is the loop of an experiment with its data, logging to metrics.jsonl and TensorBoard, evaluation and
checkpoints. PyTorch shuffles, trains and logs the loss, without the rest.
"""

import atexit
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path

import jax
import numpy as np
import optax
import torch
from PIL import Image

from jaxvision import augment, data
from jaxvision.parallel import make_layout
from jaxvision.tasks.classification import classification_task
from jaxvision.training.checkpoints import Checkpoints
from jaxvision.training.dispatch import make_advance
from jaxvision.training.evaluate import make_evaluate
from jaxvision.training.loop import Hook, Loop, fit
from jaxvision.training.records import Recorder
from jaxvision.training.state import create_state
from jaxvision.training.step import make_train_step
from scripts.benchmarks.networks import random_examples
from scripts.benchmarks.torch_oracle import torchvision_and_operators
from scripts.benchmarks.training_torch import LOG_EVERY, THREADS, epoch, torch_step

EXAMPLES = 20_480
MEAN, STD = 0.1307, 0.3081
LEARNING_RATE = 1e-3


@cache
def mnist_like():
    return random_examples(EXAMPLES, (28, 28, 1))


def ours(batch_size):
    layout = make_layout("replicate")
    train = data.InMemory(*mnist_like())
    task = classification_task(
        "mlp",
        {"features": [64]},
        preprocess=augment.Preprocess((28, 28, 1), (MEAN,), (STD,)),
        class_names=tuple("0123456789"),
        tx=optax.inject_hyperparams(optax.adam)(learning_rate=LEARNING_RATE),
        hyper={"learning_rate": LEARNING_RATE},
    )
    order = data.TrainingOrder(EXAMPLES, batch_size, seed=0)
    step = make_train_step(task.loss_fn, task.tx)
    advance = make_advance(step, train, order=order, layout=layout, steps_per_dispatch=256)
    evaluate = make_evaluate(task.metrics_fn, layout, 1000)
    validation = train.take(np.arange(2000))
    key = jax.random.key(0)
    state = create_state(task.init(key, task.hyper), task.tx, key, task.hyper)
    loop = Loop(layout.place(state), 0, 0)
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    recorder = Recorder(folder, 0)
    checkpoints = Checkpoints(folder / "checkpoints", layout, keep=1)

    def log(loop):
        recorder.write(loop.step, "train", {name: total / count for name, (total, count) in loop.sums.items()})
        loop.sums = {}

    def validate(loop):
        metrics = evaluate(loop.state.variables, validation)
        recorder.write(loop.step, "validation", {"loss": float(metrics["loss"])})

    def save(loop):
        checkpoints.save(loop.step, loop.state, {"seconds": loop.seconds})

    steps = EXAMPLES // batch_size
    hooks = (Hook(LOG_EVERY, log), Hook(steps, validate), Hook(5 * steps, save))

    def run():
        loop.total_steps += steps
        started = time.perf_counter()
        fit(loop, advance, hooks=hooks)
        return EXAMPLES / (time.perf_counter() - started)

    return run


def torch_mlp():
    model = torch.nn.Sequential(torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    return model, torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)


def torch_in_memory(batch_size, threads):
    """The tensors in memory, normalised beforehand."""
    images, labels = mnist_like()
    images = (torch.from_numpy(images).reshape(EXAMPLES, -1).float() / 255 - MEAN) / STD
    return epoch(*torch_mlp(), images, labels, batch_size, threads)


@cache  # made in each worker: torchvision can't be unpickled before its operators are there
def transform():
    transforms = torchvision_and_operators()[0].transforms
    return transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])


class Pictures(torch.utils.data.Dataset):
    """What the tutorials write: a picture an item, through torchvision's transforms."""

    def __init__(self, images, labels):
        self.images, self.labels = images[..., 0], labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return transform()(Image.fromarray(self.images[index])), int(self.labels[index])


def torch_dataloader(batch_size, workers):
    """Pictures behind a DataLoader."""
    model, optimiser = torch_mlp()
    loader = torch.utils.data.DataLoader(
        Pictures(*mnist_like()),
        batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="spawn" if workers else None,  # forking a process with JAX in it may deadlock
    )

    def run():
        torch.set_num_threads(THREADS)
        started = time.perf_counter()
        for step, (batch, targets) in enumerate(loader):
            loss = torch_step(model, optimiser, batch.flatten(1), targets)
            if step % LOG_EVERY == 0:
                loss.item()
        return EXAMPLES / (time.perf_counter() - started)

    return run
