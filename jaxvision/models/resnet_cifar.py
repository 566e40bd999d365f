"""Residual networks for CIFAR: He et al., "Deep residual learning for image recognition", 2015, section 4.2.

Depth 6n + 2: a 3x3 convolution, then stages of n blocks with 16, 32 and 64 features at 32x32, 16x16 and 8x8
pixels, global average pooling and a linear classifier. Where the paper is silent: option A pads half of the new
channels on either side, as the reimplementation of Idelbayev (2018) does, and the projection of option B has a
batch normalisation of its own, as torchvision's. The classifier starts as Flax's Dense does.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.models.blocks import BatchNorm, Conv, head, require_size, tap

Shortcut = Literal["A", "B", "none"]

HE_NORMAL = nn.initializers.variance_scaling(2.0, "fan_out", "normal")  # He et al. 2015b, equation 14


class BasicBlock(nn.Module):
    """act(F(x) + shortcut(x)), F being two 3x3 convolutions, each with normalisation (figure 2).

    Where F changes the shape, shortcut "A" takes every second pixel and pads the new channels with zeros, "B" is
    a 1x1 convolution, and "none" leaves act(F(x)), the block of a plain network, everywhere.
    """

    features: int
    stride: int
    shortcut: Shortcut
    act: Callable
    norm: Callable
    dtype: jax.typing.DTypeLike

    @nn.compact
    def __call__(self, x, train):
        conv = partial(Conv, self.features, use_bias=False, kernel_init=HE_NORMAL, dtype=self.dtype)
        y = conv(3, stride=self.stride, padding=1, name="conv1")(x)
        y = self.act(self.norm(name="bn1")(y, train=train))
        y = self.norm(name="bn2")(conv(3, padding=1, name="conv2")(y), train=train)
        if self.shortcut == "none":
            return self.act(y)
        if x.shape != y.shape and self.shortcut == "B":
            x = conv(1, stride=self.stride, name="conv_shortcut")(x)
            x = self.norm(name="bn_shortcut")(x, train=train)
        elif x.shape != y.shape:
            x = subsample_and_pad(x, self.stride, self.features)
        return self.act(y + x)


def subsample_and_pad(x: jax.Array, stride: int, features: int) -> jax.Array:
    """Every `stride`-th pixel of [B, H, W, C], with zero channels on either side up to `features`."""
    new = features - x.shape[-1]
    return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (new // 2, new - new // 2)))


class ResNetCifar(nn.Module):
    """`blocks` is the paper's n, the number of blocks in each of the three stages.

    `norm(name=...)(x, train=train)` normalises. With `shortcut="none"` this is the plain network of the degradation
    experiment, of as many parameters as with "A".
    """

    blocks: int
    num_classes: int = 10
    shortcut: Shortcut = "A"
    act: Callable = nn.relu
    norm: Callable = BatchNorm
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 1)
        if self.shortcut not in ("A", "B", "none"):
            raise InputError(f"shortcut: {self.shortcut!r} is unknown, expected A, B or none")
        x = Conv(16, 3, padding=1, use_bias=False, kernel_init=HE_NORMAL, dtype=self.dtype, name="conv1")(images)
        x = tap(self, "conv1", self.act(self.norm(name="bn1")(x, train=train)))
        for stage, features in enumerate((16, 32, 64), start=1):
            for number in range(1, self.blocks + 1):
                name = f"stage{stage}_block{number}"
                stride = 2 if stage > 1 and number == 1 else 1
                block = BasicBlock(features, stride, self.shortcut, self.act, self.norm, self.dtype, name=name)
                x = tap(self, name, block(x, train))
            x = tap(self, f"stage{stage}", x)
        return head(self, x.mean((1, 2)))


resnet20 = partial(ResNetCifar, 3)
resnet32 = partial(ResNetCifar, 5)
resnet44 = partial(ResNetCifar, 7)
resnet56 = partial(ResNetCifar, 9)
resnet110 = partial(ResNetCifar, 18)
resnet1202 = partial(ResNetCifar, 200)
