"""MobileNets: Howard et al., "MobileNets: Efficient convolutional neural networks for mobile vision applications",
2017, and Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks", 2018.

Version 2 is the network of torchvision's weight file: widths are multiples of 8, dropout of 0.2 stands before the
classifier, and kernels start as torchvision's, by He et al. 2015 with the fan out (blind to groups), those of the
classifier from N(0, 0.01^2). Version 1 starts alike, but the classifier as Flax's Dense does; its last depthwise
convolution has stride 1, for which table 1 misprints 2. In both, images are padded by 1 on every side, where the
authors' TensorFlow pads at stride 2 only at the bottom and at the right.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.models.blocks import BatchNorm, Dropout, head, require_size, tap
from jaxvision.models.conv_unit import ConvUnit
from jaxvision.ops.activations import identity, relu6
from jaxvision.ops.initializers import normal
from jaxvision.ops.pooling import global_avg_pool

BOTTLENECKS = (  # version 2, table 2: expansion factor t, features c, stride s of the first block
    (1, 16, 1),
    (6, 24, 2),
    (6, 32, 2),
    (6, 64, 2),
    (6, 96, 1),
    (6, 160, 2),
    (6, 320, 1),
)


class MobileNetV1(nn.Module):
    """`blocks` of each stage; the first has 64 features, every further one twice as many at half the size.

    `width` is the multiplier alpha of all features (section 3.3). The other multiplier, rho (section 3.4), is that
    of the image size and no field: give smaller images. With `full_convolution` every block is one 3x3 convolution,
    the network that table 4 compares with. `norm(name=...)(x, train=train)` normalises. `remat` keeps the input of
    each block only for the gradient.
    """

    blocks: tuple[int, ...] = (1, 2, 2, 6, 2)
    num_classes: int = 1000
    width: float = 1.0
    full_convolution: bool = False
    act: Callable = nn.relu
    norm: Callable = BatchNorm
    dtype: jax.typing.DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 1)
        Block = ConvUnit if self.full_convolution else DepthwiseSeparable
        Block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        fields = fields_of(self)
        x = ConvUnit(self.scaled(32), stride=2, **fields, name="conv1")(images, train)
        x = tap(self, "conv1", x)
        for stage, count in enumerate(self.blocks, start=1):
            features = self.scaled(32 * 2**stage)
            for number in range(1, count + 1):
                name = f"stage{stage}_block{number}"
                stride = 2 if stage > 1 and number == 1 else 1
                x = tap(self, name, Block(features, stride=stride, **fields, name=name)(x, train))
            x = tap(self, f"stage{stage}", x)
        return head(self, global_avg_pool(x))

    def scaled(self, features):
        return max(1, round(features * self.width))


class MobileNetV2(nn.Module):
    """`blocks` of each bottleneck row of table 2, here a stage. `width` multiplies all features (section 4).

    But the last convolution has at least 1280. `norm(name=...)(x, train=train)` normalises. `remat` keeps the input
    of each block only for the gradient. Raises InputError for more than seven stages.
    """

    blocks: tuple[int, ...] = (1, 2, 3, 4, 3, 3, 1)
    num_classes: int = 1000
    width: float = 1.0
    act: Callable = relu6
    norm: Callable = BatchNorm
    dropout_rate: float | jax.Array = 0.2
    dtype: jax.typing.DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 1)
        if len(self.blocks) > len(BOTTLENECKS):
            raise InputError(f"blocks: of {len(self.blocks)} stages, expected at most {len(BOTTLENECKS)}")
        Block = nn.remat(InvertedResidual, static_argnums=(2,)) if self.remat else InvertedResidual
        fields = fields_of(self)
        x = ConvUnit(multiple_of_8(32 * self.width), stride=2, **fields, name="conv1")(images, train)
        x = tap(self, "conv1", x)
        for stage, (count, (expansion, features, first_stride)) in enumerate(
            zip(self.blocks, BOTTLENECKS), start=1
        ):
            for number in range(1, count + 1):
                name = f"stage{stage}_block{number}"
                stride = first_stride if number == 1 else 1
                block = Block(multiple_of_8(features * self.width), stride, expansion, **fields, name=name)
                x = tap(self, name, block(x, train))
            x = tap(self, f"stage{stage}", x)
        last = ConvUnit(multiple_of_8(1280 * max(1, self.width)), 1, **fields, name="conv_last")
        x = global_avg_pool(tap(self, "conv_last", last(x, train)))
        return head(self, Dropout(self.dropout_rate)(x, train=train), kernel_init=normal)


class DepthwiseSeparable(nn.Module):
    """A 3x3 convolution of every channel alone, then a 1x1 one that mixes them (version 1, figure 3)."""

    features: int
    stride: int
    act: Callable
    norm: Callable
    dtype: jax.typing.DTypeLike

    @nn.compact
    def __call__(self, x, train):
        fields, channels = fields_of(self), x.shape[-1]
        x = ConvUnit(channels, stride=self.stride, groups=channels, **fields, name="depthwise")(x, train)
        return ConvUnit(self.features, 1, **fields, name="pointwise")(x, train)


class InvertedResidual(nn.Module):
    """1x1 to `expansion` times the channels, 3x3 of every channel alone, 1x1 to `features` (version 2, table 1).

    No activation follows the last, the linear bottleneck; the first is left out where `expansion` is 1. The input
    is added where the shapes are the same.
    """

    features: int
    stride: int
    expansion: int
    act: Callable
    norm: Callable
    dtype: jax.typing.DTypeLike

    @nn.compact
    def __call__(self, x, train):
        fields, y, wide = fields_of(self), x, self.expansion * x.shape[-1]
        if self.expansion > 1:
            y = ConvUnit(wide, 1, **fields, name="expand")(y, train)
        y = ConvUnit(wide, stride=self.stride, groups=wide, **fields, name="depthwise")(y, train)
        y = ConvUnit(self.features, 1, **{**fields, "act": identity}, name="project")(y, train)
        return x + y if self.stride == 1 and self.features == x.shape[-1] else y


def fields_of(module: nn.Module) -> dict:
    """What a module hands on to its parts."""
    return {"act": module.act, "norm": module.norm, "dtype": module.dtype}


def multiple_of_8(features: float) -> int:
    """The nearest multiple of 8, at least 8; the one above where that is less than 90 % of `features`."""
    nearest = max(8, int(features + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * features else nearest


mobilenet_v1 = MobileNetV1
mobilenet_v2 = MobileNetV2
