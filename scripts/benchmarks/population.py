"""Populations: images a second over all members, against PyTorch, which trains them one after another.

One after another, sixteen runs have the rate of one, so PyTorch trains one, at its better number of threads. Ours
is the trainer of an experiment with its loop and log; the sixteen LeNets differ in their learning rates.
"""

import time
from functools import partial

import jax
import numpy as np
import optax
import torch

from jaxvision import augment, data
from jaxvision.parallel import make_layout
from jaxvision.tasks.classification import classification_task
from jaxvision.training.config import TrainConfig
from jaxvision.training.fitting import make_trainer
from jaxvision.training.loop import Hook, Loop, fit
from jaxvision.training.population import members_of
from scripts.benchmarks.case import Case, best_of
from scripts.benchmarks.networks_torch import NETWORKS
from scripts.benchmarks.training_mlp import EXAMPLES, MEAN, STD, mnist_like, torch_in_memory
from scripts.benchmarks.training_torch import LOG_EVERY, as_tensor, epoch

MEMBERS = 16
CURVE = (1, 4, 16, 64, 256)
LENET_EXAMPLES = 2048
LEARNING_RATES = np.geomspace(1e-3, 1e-1, MEMBERS)


def cases() -> list[Case]:
    own = [mlp(f"mlp_b{size}", size, MEMBERS) for size in (16, 128)]
    shared = [mlp(f"mlp_shared_b{size}", size, MEMBERS, shared_batches=True) for size in (16, 128)]
    curve = [mlp(f"curve_{members}_b128", 128, members) for members in CURVE]
    return [*own, *shared, *map(lenet, (16, 128)), *curve]


def mlp(name, batch_size, members, **config):
    config = TrainConfig(population=members, batch_size=batch_size, steps_per_dispatch=256, **config)
    ours = partial(training, "mlp", {"features": [64]}, config, EXAMPLES, optax.adam)
    threads = [partial(torch_in_memory, batch_size, count) for count in (1, 2)]
    return Case(name, "images/s", ours, {"torch": best_of(*threads)})


def lenet(batch_size):
    rates = ",".join(f"{rate:.6f}" for rate in LEARNING_RATES)
    config = TrainConfig(vary=(f"learning_rate={rates}",), batch_size=batch_size, steps_per_dispatch=16)
    ours = partial(training, "lenet", {}, config, LENET_EXAMPLES, optax.sgd)
    threads = [partial(torch_lenet, batch_size, count) for count in (1, 2)]
    return Case(f"lenet_b{batch_size}", "images/s", ours, {"torch": best_of(*threads)})


def training(model, fields, config, examples, optimizer):
    """A run that trains the population for an epoch and returns its images a second."""
    images, labels = mnist_like()
    train = data.InMemory(images[:examples], labels[:examples])
    task = classification_task(
        model,
        fields,
        preprocess=augment.Preprocess((28, 28, 1), (MEAN,), (STD,)),
        class_names=tuple("0123456789"),
        tx=optax.inject_hyperparams(optimizer)(learning_rate=config.learning_rate),
        hyper={"learning_rate": config.learning_rate},
    )
    members = members_of(config, task.hyper)
    seeds = [member.seed for member in members]
    order = data.TrainingOrder(examples, config.batch_size, seed=0)
    if len(members) > 1 and not config.shared_batches:
        order = data.PopulationOrder([data.TrainingOrder(examples, config.batch_size, seed) for seed in seeds])
    trainer = make_trainer(task, train, order, members, config, make_layout("replicate"))
    loop = Loop(trainer.initial, 0, 0)
    steps = examples // config.batch_size

    def log(loop):
        loop.sums = {}

    def run():
        loop.total_steps += steps
        started = time.perf_counter()
        jax.block_until_ready(fit(loop, trainer.advance, hooks=(Hook(LOG_EVERY, log),)).params)
        return len(members) * examples / (time.perf_counter() - started)

    return run


def torch_lenet(batch_size, threads):
    images, labels = mnist_like()
    images = (images[:LENET_EXAMPLES].astype(np.float32) / 255 - MEAN) / STD
    model = NETWORKS["lenet"]().to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    return epoch(model, optimiser, as_tensor(images), labels[:LENET_EXAMPLES], batch_size, threads)
