"""Convolution, normalisation, activation (Ioffe & Szegedy 2015, 3.2): what GoogLeNet and MobileNets are made of."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.models.blocks import BatchNorm, Conv
from jaxvision.ops.initializers import he_normal


class ConvUnit(nn.Module):
    """act(norm(conv(x))): [B, H, W, C] -> [B, H', W', features] with H' = ceil(H / stride), for an odd `window`.

    `norm(name=...)(x, train=train)` normalises, and usually has a bias, so that the convolution needs none. Images
    are padded alike on all sides.
    """

    features: int
    window: int = 3
    stride: int = 1
    groups: int = 1
    use_bias: bool = False
    act: Callable = nn.relu
    norm: Callable = BatchNorm
    kernel_init: Callable = partial(he_normal, fan="out")
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x, train):
        conv = Conv(
            self.features,
            self.window,
            stride=self.stride,
            padding=self.window // 2,
            groups=self.groups,
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="conv",
        )
        return self.act(self.norm(name="bn")(conv(x), train=train))
