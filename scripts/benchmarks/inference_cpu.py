"""Answering on a CPU: images a second, of the networks of the training suites and of published ones at 224 pixels.

The published ones are those of torchvision and, for the small Vision Transformer, of timm.
"""

from functools import partial

import jax
import torch

from jaxvision import models
from scripts.benchmarks import networks_linen, networks_ours, networks_torch
from scripts.benchmarks.case import Case
from scripts.benchmarks.networks import SETTINGS, normalised, random_examples
from scripts.benchmarks.timing import seconds_a_call
from scripts.benchmarks.torch_oracle import torchvision_and_operators
from scripts.benchmarks.training_torch import THREADS, as_tensor, compiled, compiling

BATCH_SIZES = (1, 32)
PUBLISHED_BATCH_SIZES = (1, 16)
PUBLISHED = {  # ours: theirs
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "mobilenet_v2": "mobilenet_v2",
    "vgg16": "vgg16",
    "vit_s_16": "vit_small_patch16_224",
}


def cases() -> list[Case]:
    small = [small_case(name, batch_size) for name in SETTINGS for batch_size in BATCH_SIZES]
    published = [
        published_case(*names, batch_size) for names in PUBLISHED.items() for batch_size in PUBLISHED_BATCH_SIZES
    ]
    return [*small, *published]


def small_case(name, batch_size) -> Case:
    images = partial(some_images, SETTINGS[name].image_shape, batch_size)
    return Case(
        f"{name}_b{batch_size}",
        "images/s",
        partial(jitted, networks_ours.NETWORKS[name], images),
        {
            "torch": partial(eager, networks_torch.NETWORKS[name], images),
            "linen": partial(jitted, networks_linen.NETWORKS[name], images),
            "torch.compile": partial(torch_compiled, networks_torch.NETWORKS[name], images),
        },
    )


def published_case(name, theirs, batch_size) -> Case:
    images = partial(some_images, (224, 224, 3), batch_size)
    return Case(
        f"{name.replace('_16', '16')}_b{batch_size}",
        "images/s",
        partial(jitted, partial(models.create, name), images),
        {"torch": partial(eager, partial(published_torch, theirs), images)},
    )


def published_torch(name):
    torchvision, _ = torchvision_and_operators()
    if hasattr(torchvision.models, name):
        return getattr(torchvision.models, name)()
    import timm

    return timm.create_model(name)


def some_images(image_shape, batch_size):
    return normalised(random_examples(batch_size, image_shape)[0])


def jitted(make_model, make_images):
    """A network of Flax, ours or plain."""
    model, images = make_model(), jax.device_put(make_images())
    variables = jax.jit(partial(model.init, train=False))(jax.random.key(0), images)
    answer = jax.jit(partial(model.apply, train=False))
    return lambda: len(images) / seconds_a_call(lambda: answer(variables, images).block_until_ready())


def eager(make_model, make_images):
    return answering(channels_last(make_model), make_images())


def torch_compiled(make_model, make_images):
    return compiling(answering(compiled(channels_last(make_model)), make_images()))


def channels_last(make_model):
    return make_model().to(memory_format=torch.channels_last).eval()


def answering(model, images):
    @torch.inference_mode()
    def run():
        torch.set_num_threads(THREADS)
        return len(images) / seconds_a_call(lambda: model(as_tensor(images)))

    return run
