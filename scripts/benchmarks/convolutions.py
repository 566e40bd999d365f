"""Convolutions of the networks, and two more that `lax` is slow at: forward and either gradient by itself."""

from dataclasses import dataclass
from functools import partial
from itertools import product, starmap

import jax
import numpy as np
import torch

from jaxvision.ops.convolution import conv2d
from scripts.benchmarks.case import Case
from scripts.benchmarks.operator_case import in_jax, in_torch, operator, random
from scripts.benchmarks.training_torch import as_tensor

GRADIENTS = ("image_gradient", "kernel_gradient")


@dataclass(frozen=True)
class Conv:
    """A convolution of [batch, size, size, channels]."""

    batch: int
    size: int
    channels: int
    features: int
    window: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def shapes(self):
        """Of images, kernel and output."""
        out = (self.size + 2 * self.padding - self.window) // self.stride + 1
        return (
            (self.batch, self.size, self.size, self.channels),
            (self.window, self.window, self.channels // self.groups, self.features),
            (self.batch, out, out, self.features),
        )

    @property
    def flops(self):
        _, kernel, output = self.shapes
        return 2 * np.prod(output) * np.prod(kernel[:3])


CONVOLUTIONS = {
    "lenet_C1": Conv(128, 28, 1, 6, 5, padding=2),
    "lenet_C3": Conv(128, 14, 6, 16, 5),
    "course_C1": Conv(128, 32, 3, 32, 5, padding=2),
    "course_C3": Conv(128, 16, 32, 32, 5, padding=2),
    "course_C5": Conv(128, 8, 32, 64, 5, padding=2),
    "resnet20_conv1": Conv(128, 32, 3, 16, 3, padding=1),
    "resnet20_stage1": Conv(128, 32, 16, 16, 3, padding=1),
    "resnet20_stage2": Conv(128, 16, 32, 32, 3, padding=1),
    "resnet20_stage3": Conv(128, 8, 64, 64, 3, padding=1),
    "resnet20_stage2_strided": Conv(128, 32, 16, 32, 3, stride=2, padding=1),
    "bottleneck_conv1": Conv(16, 224, 3, 64, 7, stride=2, padding=3),
    "bottleneck_stage1_3x3": Conv(16, 56, 64, 64, 3, padding=1),
    "bottleneck_stage1_1x1": Conv(16, 56, 64, 256, 1),
    "bottleneck_stage2_1x1": Conv(16, 56, 256, 128, 1),
    "bottleneck_stage2_strided": Conv(16, 56, 128, 128, 3, stride=2, padding=1),
    "bottleneck_stage2_shortcut": Conv(16, 56, 256, 512, 1, stride=2),
    "bottleneck_stage4_strided": Conv(16, 14, 512, 512, 3, stride=2, padding=1),
    "facts_56x56_1x1": Conv(8, 56, 256, 64, 1),
    "facts_14x14_3x3": Conv(8, 14, 256, 256, 3, padding=1),
    "depthwise_block1": Conv(16, 112, 32, 32, 3, padding=1, groups=32),
    "depthwise_block2": Conv(16, 112, 64, 64, 3, stride=2, padding=1, groups=64),
    "depthwise_block5": Conv(16, 28, 256, 256, 3, padding=1, groups=256),
    "depthwise_block1_pointwise": Conv(16, 112, 32, 64, 1),
    "depthwise_block7_pointwise": Conv(16, 14, 512, 512, 1),
}


def cases() -> list[Case]:
    return list(starmap(convolution, product(CONVOLUTIONS, ("forward", *GRADIENTS))))


def convolution(name, role):
    layer = CONVOLUTIONS[name]
    pads = 2 * ((layer.padding, layer.padding),)

    def library(images, kernel):
        return jax.lax.conv_general_dilated(
            images,
            kernel,
            (layer.stride, layer.stride),
            pads,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=layer.groups,
        )

    ours = partial(conv2d, stride=layer.stride, padding=layer.padding, groups=layer.groups)
    return operator(
        f"conv_{name}_{role}",
        partial(convolution_in_jax, ours, layer, role),
        {
            "torch": partial(convolution_in_torch, layer, role),
            "lax": partial(convolution_in_jax, library, layer, role),
        },
        layer.flops,
        layer.shapes,
    )


def convolution_in_jax(conv, layer, role):
    images, kernel, cotangent = random(*layer.shapes)
    if role == "forward":
        return in_jax(conv, images, kernel)
    wanted = GRADIENTS.index(role)  # the other one is dead code
    return in_jax(lambda *arrays: jax.vjp(conv, *arrays[:2])[1](arrays[2])[wanted], images, kernel, cotangent)


def convolution_in_torch(layer, role):
    images, kernel, cotangent = random(*layer.shapes)
    kernel = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    operands, cotangent = (as_tensor(images), kernel), as_tensor(cotangent)
    conv = partial(torch.nn.functional.conv2d, stride=layer.stride, padding=layer.padding, groups=layer.groups)
    if role == "forward":
        return in_torch(lambda: conv(*operands))
    wanted = operands[GRADIENTS.index(role)].requires_grad_()
    output = conv(*operands)
    return in_torch(lambda: torch.autograd.grad(output, wanted, cotangent, retain_graph=True))
