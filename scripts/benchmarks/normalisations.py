"""Batch normalisation followed by ReLU, as in training: forward, running statistics, all gradients."""

from functools import partial

import flax.linen as nn
import jax
import numpy as np
import torch

from jaxvision.models.blocks import BatchNorm
from scripts.benchmarks.case import Case
from scripts.benchmarks.operator_case import in_jax, in_torch, operator, random
from scripts.benchmarks.training_torch import as_tensor

SHAPES = {
    "resnet20_stage1": (128, 32, 32, 16),
    "resnet20_stage3": (128, 8, 8, 64),
    "bottleneck_stage1": (16, 56, 56, 256),
}


def cases() -> list[Case]:
    return list(map(normalisation, SHAPES))


def normalisation(name):
    shape = SHAPES[name]
    return operator(
        f"batch_norm_relu_{name}_forward_backward",
        partial(normalisation_in_jax, partial(BatchNorm().apply, train=True), shape),
        {
            "torch": partial(normalisation_in_torch, shape),
            "flax": partial(normalisation_in_jax, nn.BatchNorm(use_running_average=False).apply, shape),
        },
        0,  # a few for each byte: memory is what counts
        4 * (shape,),
    )


def normalisation_in_jax(apply, shape):
    images, cotangent = random(shape, shape)
    ones, zeros = np.ones(shape[-1:], np.float32), np.zeros(shape[-1:], np.float32)
    params, statistics = {"scale": ones, "bias": zeros}, {"mean": zeros, "var": ones}

    def run(images, params, statistics, cotangent):
        def forward(images, params):
            output, updated = apply({"params": params, "batch_stats": statistics}, images, mutable=["batch_stats"])
            return nn.relu(output), updated

        output, transposed, updated = jax.vjp(forward, images, params, has_aux=True)
        return output, transposed(cotangent), updated

    return in_jax(run, images, params, statistics, cotangent)


def normalisation_in_torch(shape):
    images, cotangent = map(as_tensor, random(shape, shape))
    norm = torch.nn.BatchNorm2d(shape[-1])
    wanted = (images.requires_grad_(), norm.weight, norm.bias)
    return in_torch(lambda: torch.autograd.grad(torch.relu_(norm(images)), wanted, cotangent))
