"""Training in plain PyTorch: images float32 in memory, normalised beforehand, channels last."""

import time

import numpy as np
import torch

from scripts.benchmarks.case import Unavailable
from scripts.benchmarks.networks import LEARNING_RATE, MOMENTUM, SETTINGS, normalised, random_examples
from scripts.benchmarks.networks_torch import NETWORKS

THREADS = 2
LOG_EVERY = 100


def training(name: str):
    """A run that trains the network of this name for an epoch and returns its images a second."""
    return training_of(name, NETWORKS[name]().to(memory_format=torch.channels_last))


def compiled_training(name: str):
    """The same through `torch.compile`."""
    run = training_of(name, compiled(NETWORKS[name]().to(memory_format=torch.channels_last)))
    return compiling(run)


def training_of(name, model):
    setting = SETTINGS[name]
    images, labels = random_examples(setting.batch_size * setting.steps, setting.image_shape)
    optimiser = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM)
    return epoch(model, optimiser, as_tensor(normalised(images)), labels, setting.batch_size, THREADS)


def as_tensor(images: np.ndarray) -> torch.Tensor:
    """[N, H, W, C] as a tensor [N, C, H, W] whose channels lie last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def compiled(model):
    """The model for `torch.compile`, which forgets what it compiled before."""
    torch.compiler.reset()
    return torch.compile(model, dynamic=False)


def compiling(run):
    """The run, tried once; raises `Unavailable` where it does not compile."""
    try:
        run()
    except torch._dynamo.exc.TorchDynamoException as error:
        raise Unavailable(str(error).strip().splitlines()[0]) from None
    return run


def epoch(model, optimiser, images, labels, batch_size, threads):
    """A run over all images [N, ...] in an order drawn anew, which returns images a second."""
    labels = torch.from_numpy(labels).long()

    def run():
        torch.set_num_threads(threads)
        started = time.perf_counter()
        order = torch.randperm(len(images))
        for step, first in enumerate(range(0, len(images), batch_size)):
            rows = order[first : first + batch_size]
            loss = torch_step(model, optimiser, images[rows], labels[rows])
            if step % LOG_EVERY == 0:
                loss.item()
        return len(images) / (time.perf_counter() - started)

    return run


def torch_step(model, optimiser, images, labels):
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss
