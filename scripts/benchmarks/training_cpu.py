"""Training on a CPU: images a second of the whole loop.

Ours is the loop of an experiment with its data, logging to metrics.jsonl and TensorBoard, evaluation and
checkpoints. The peer is a plain PyTorch loop that shuffles, trains and logs the loss, without the rest.
"""

import atexit
import shutil
import tempfile
import time
from functools import cache, partial
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
from scripts.benchmarks.case import Case
from scripts.benchmarks.torch_oracle import torchvision_and_operators

EXAMPLES = 20_480
MEAN, STD = 0.1307, 0.3081
LEARNING_RATE = 1e-3
LOG_EVERY = 100


def cases() -> list[Case]:
    images, labels = mnist_like()
    threads = sorted({1, torch.get_num_threads()})

    def in_memory(batch_size):
        return {f"{count} threads": partial(torch_loop, images, labels, batch_size, count) for count in threads}

    loaders = {
        f"{workers} workers": partial(torch_dataloader_loop, images, labels, 128, workers) for workers in (0, 2)
    }
    return [
        Case("mlp_b128", partial(our_mlp, images, labels, 128), "torch", in_memory(128)),
        Case("mlp_b16", partial(our_mlp, images, labels, 16), "torch", in_memory(16)),
        Case("mlp_b128_dataloader", partial(our_mlp, images, labels, 128), "torch DataLoader", loaders),
    ]


def mnist_like() -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N,28,28,1] and labels int32 [N]; how fast a step is does not depend on what they show."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (EXAMPLES, 28, 28, 1), np.uint8), rng.integers(0, 10, EXAMPLES).astype(np.int32)


def our_mlp(images, labels, batch_size):
    """784-64-10 with Adam, an epoch a run."""
    layout = make_layout("replicate")
    train = data.InMemory(images, labels)
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

    epoch = EXAMPLES // batch_size
    hooks = (Hook(LOG_EVERY, log), Hook(epoch, validate), Hook(5 * epoch, save))

    def run():
        loop.total_steps += epoch
        started = time.perf_counter()
        fit(loop, advance, hooks=hooks)
        return EXAMPLES / (time.perf_counter() - started)

    return run


def torch_mlp():
    model = torch.nn.Sequential(torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    return model, torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)


def torch_step(model, optimiser, images, labels):
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss


def torch_loop(images, labels, batch_size, threads):
    """The tensors in memory, normalised beforehand, an epoch a run."""
    model, optimiser = torch_mlp()
    images = (torch.from_numpy(images).reshape(EXAMPLES, -1).float() / 255 - MEAN) / STD
    labels = torch.from_numpy(labels).long()

    def run():
        torch.set_num_threads(threads)
        started = time.perf_counter()
        order = torch.randperm(EXAMPLES)
        for step, first in enumerate(range(0, EXAMPLES, batch_size)):
            rows = order[first : first + batch_size]
            loss = torch_step(model, optimiser, images[rows], labels[rows])
            if step % LOG_EVERY == 0:
                loss.item()
        return EXAMPLES / (time.perf_counter() - started)

    return run


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


def torch_dataloader_loop(images, labels, batch_size, workers):
    """Pictures behind a DataLoader, an epoch a run."""
    model, optimiser = torch_mlp()
    loader = torch.utils.data.DataLoader(
        Pictures(images, labels),
        batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="spawn" if workers else None,  # forking a process with JAX in it may deadlock
    )

    def run():
        torch.set_num_threads(2)
        started = time.perf_counter()
        for step, (batch, targets) in enumerate(loader):
            loss = torch_step(model, optimiser, batch.flatten(1), targets)
            if step % LOG_EVERY == 0:
                loss.item()
        return EXAMPLES / (time.perf_counter() - started)

    return run
