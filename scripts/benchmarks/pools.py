"""Pooling as in the networks: forward, and forward with the gradient."""

from functools import partial
from itertools import product, starmap

import flax.linen as nn
import jax
import numpy as np
import torch
from torch.nn import functional as F

from jaxvision.ops.pooling import avg_pool, max_pool
from scripts.benchmarks.case import Case
from scripts.benchmarks.operator_case import in_jax, in_torch, operator, random
from scripts.benchmarks.training_torch import as_tensor

# batch, size, channels, window, stride, padding
POOLS = {
    "lenet_S2": (128, 28, 6, 2, 2, 0),
    "course_P2": (128, 32, 32, 3, 2, 1),
    "bottleneck": (16, 112, 64, 3, 2, 1),
    "facts": (128, 32, 32, 2, 2, 0),
}


def cases() -> list[Case]:
    return list(starmap(pooling, product(POOLS, ("max", "avg"), ("forward", "forward_backward"))))


def pooling(name, kind, role):
    batch, size, channels, window, stride, padding = POOLS[name]
    in_shape = (batch, size, size, channels)
    out_size = (size + 2 * padding - window) // stride + 1
    out_shape = (batch, out_size, out_size, channels)
    ours = partial({"max": max_pool, "avg": avg_pool}[kind], window=window, stride=stride, padding=padding)
    library = partial(
        {"max": nn.max_pool, "avg": nn.avg_pool}[kind],
        window_shape=(window, window),
        strides=(stride, stride),
        padding=2 * ((padding, padding),),
    )
    theirs = partial(
        {"max": F.max_pool2d, "avg": F.avg_pool2d}[kind], kernel_size=window, stride=stride, padding=padding
    )
    passes = 1 if role == "forward" else 2
    return operator(
        f"{kind}_pool_{name}_{role}",
        partial(pooling_in_jax, ours, in_shape, out_shape, role),
        {
            "torch": partial(pooling_in_torch, theirs, in_shape, out_shape, role),
            "flax": partial(pooling_in_jax, library, in_shape, out_shape, role),
        },
        passes * np.prod(out_shape) * window**2,
        passes * (in_shape, out_shape),
    )


def pooling_in_jax(pool, in_shape, out_shape, role):
    images, cotangent = random(in_shape, out_shape)
    if role == "forward":
        return in_jax(pool, images)
    return in_jax(partial(value_and_gradients, pool), cotangent, images)


def value_and_gradients(function, cotangent, *arrays):
    value, transposed = jax.vjp(function, *arrays)
    return value, transposed(cotangent)


def pooling_in_torch(pool, in_shape, out_shape, role):
    images, cotangent = map(as_tensor, random(in_shape, out_shape))
    if role == "forward":
        return in_torch(lambda: pool(images))
    images.requires_grad_()
    return in_torch(lambda: torch.autograd.grad(pool(images), images, cotangent))
