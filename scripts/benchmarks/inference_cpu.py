"""Answering on a CPU: images a second of the networks, one image or 32 at a time."""

from functools import partial

import jax
import torch

from scripts.benchmarks import networks_linen, networks_ours, networks_torch
from scripts.benchmarks.case import Case
from scripts.benchmarks.networks import SETTINGS, normalised, random_examples
from scripts.benchmarks.timing import seconds_a_call
from scripts.benchmarks.training_torch import THREADS, as_tensor, compiled, compiling

BATCH_SIZES = (1, 32)


def cases() -> list[Case]:
    return [
        Case(
            f"{name}_b{batch_size}",
            "images/s",
            partial(jitted, networks_ours.NETWORKS, name, batch_size),
            {
                "torch": partial(eager, name, batch_size),
                "linen": partial(jitted, networks_linen.NETWORKS, name, batch_size),
                "torch.compile": partial(torch_compiled, name, batch_size),
            },
        )
        for name in SETTINGS
        for batch_size in BATCH_SIZES
    ]


def some_images(name, batch_size):
    return normalised(random_examples(batch_size, SETTINGS[name].image_shape)[0])


def jitted(networks, name, batch_size):
    """A network of Flax, ours or plain."""
    model, images = networks[name](), jax.device_put(some_images(name, batch_size))
    variables = jax.jit(partial(model.init, train=False))(jax.random.key(0), images)
    answer = jax.jit(partial(model.apply, train=False))
    return lambda: batch_size / seconds_a_call(lambda: answer(variables, images).block_until_ready())


def eager(name, batch_size):
    return answering(channels_last(name), name, batch_size)


def torch_compiled(name, batch_size):
    return compiling(answering(compiled(channels_last(name)), name, batch_size))


def channels_last(name):
    return networks_torch.NETWORKS[name]().to(memory_format=torch.channels_last).eval()


def answering(model, name, batch_size):
    images = as_tensor(some_images(name, batch_size))

    @torch.inference_mode()
    def run():
        torch.set_num_threads(THREADS)
        return batch_size / seconds_a_call(lambda: model(images))

    return run
