"""Residual blocks: He et al., "Deep residual learning for image recognition", 2015, figures 2 and 5.

As in torchvision and timm, the bottleneck strides in its 3x3 convolution ("v1.5"), in the paper in its first 1x1.
Where the paper is silent: option A pads half of the new channels on either side, as the reimplementation of
Idelbayev (2018) does, and the projection of option B has a batch normalisation of its own, as torchvision's.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.materialise import materialise
from jaxvision.models.blocks import Conv

Shortcut = Literal["A", "B", "none"]

HE_NORMAL = nn.initializers.variance_scaling(2.0, "fan_out", "normal")  # He et al. 2015b, equation 14


class ResidualBlock(nn.Module):
    """act(F(x) + shortcut(x)) for [B, H, W, C]; F is the subclass's `residual`.

    Where F strides or changes the channels, shortcut "A" takes every `stride`-th pixel and pads the new channels
    with zeros, "B" is a 1x1 convolution, and "none" leaves act(F(x)), the block of a plain network, everywhere.
    Where F has no padding the shortcut is cropped to its size, at the bottom and at the right. `dilations` are
    those of the 3x3 convolution that strides and of one after it. With `zero_init` F starts as zero, by the scale
    of its last normalisation (Goyal et al. 2017, section 5.1). Raises InputError for any other shortcut.
    """

    features: int
    stride: int
    shortcut: Shortcut
    act: Callable
    norm: Callable
    dtype: jax.typing.DTypeLike
    dilations: tuple[int, int] = (1, 1)
    zero_init: bool = False

    @nn.compact
    def __call__(self, x, train):
        if self.shortcut not in ("A", "B", "none"):
            raise InputError(f"shortcut: {self.shortcut!r} is unknown, expected A, B or none")
        y = self.residual(x, train)
        if self.shortcut == "none":
            return self.act(y)
        features = y.shape[-1]
        if self.stride > 1 or x.shape[-1] != features:
            if self.shortcut == "A":
                x = subsample_and_pad(x, self.stride, features)
            else:
                x = self.conv(features, 1, stride=self.stride, name="conv_shortcut")(x)
                x = self.norm(name="bn_shortcut")(x, train=train)
        return materialise(self.act(y + x[:, : y.shape[1], : y.shape[2]]))

    @property
    def conv(self):
        return partial(Conv, use_bias=False, kernel_init=HE_NORMAL, dtype=self.dtype)

    @property
    def last_norm(self):
        return partial(self.norm, scale_init=nn.initializers.zeros) if self.zero_init else self.norm


class BasicBlock(ResidualBlock):
    """F is two 3x3 convolutions, each with normalisation (figures 2 and 5, left)."""

    def residual(self, x, train):
        first, second = self.dilations
        conv = partial(self.conv, self.features, 3)
        y = conv(stride=self.stride, padding=first, dilation=first, name="conv1")(x)
        y = self.act(self.norm(name="bn1")(y, train=train))
        y = conv(padding=second, dilation=second, name="conv2")(y)
        return self.last_norm(name="bn2")(y, train=train)


class Bottleneck(ResidualBlock):
    """F is a 1x1 convolution to `features`, one of `window` among them, and a 1x1 to four times as many (figure 5).

    Without `pads` the one in the middle has no padding.
    """

    window: int = 3
    pads: bool = True

    def residual(self, x, train):
        dilation = self.dilations[0]
        padding = dilation * (self.window // 2) if self.pads else 0
        y = self.conv(self.features, 1, name="conv1")(x)
        y = self.act(self.norm(name="bn1")(y, train=train))
        middle = self.conv(
            self.features, self.window, stride=self.stride, padding=padding, dilation=dilation, name="conv2"
        )
        y = self.act(self.norm(name="bn2")(middle(y), train=train))
        y = self.conv(4 * self.features, 1, name="conv3")(y)
        return self.last_norm(name="bn3")(y, train=train)


def subsample_and_pad(x: jax.Array, stride: int, features: int) -> jax.Array:
    """Every `stride`-th pixel of [B, H, W, C], with zero channels on either side up to `features`."""
    new = features - x.shape[-1]
    return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (new // 2, new - new // 2)))


def rematerialised(block: type[ResidualBlock]) -> type[ResidualBlock]:
    """The block with the same parameters that keeps its input only and computes the rest again for the gradient."""
    return nn.remat(block, static_argnums=(2,))
