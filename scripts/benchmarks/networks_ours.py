"""The networks as jaxvision writes them: those of the catalogue, and two for images of 224x224."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision import models
from jaxvision.models.blocks import BatchNorm, Conv, head
from jaxvision.ops.pooling import max_pool
from scripts.benchmarks.networks import BOTTLENECK_WIDTHS, SEPARABLE


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut (He et al. 2015, figure 5)."""

    width: int
    stride: int

    @nn.compact
    def __call__(self, x, train):
        conv = partial(Conv, use_bias=False)
        y = conv(self.width, 1, name="conv1")(x)
        y = nn.relu(BatchNorm(name="bn1")(y, train=train))
        y = conv(self.width, 3, stride=self.stride, padding=1, name="conv2")(y)
        y = nn.relu(BatchNorm(name="bn2")(y, train=train))
        y = BatchNorm(name="bn3")(conv(4 * self.width, 1, name="conv3")(y), train=train)
        x = conv(4 * self.width, 1, stride=self.stride, name="conv_shortcut")(x)
        return nn.relu(y + BatchNorm(name="bn_shortcut")(x, train=train))


class BottleneckNet(nn.Module):
    """ResNet-50 with one block a stage."""

    num_classes: int = 10
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images, train=False):
        x = Conv(64, 7, stride=2, padding=3, use_bias=False, name="conv1")(images)
        x = nn.relu(BatchNorm(name="bn1")(x, train=train))
        x = max_pool(x, 3, stride=2, padding=1)
        for stage, width in enumerate(BOTTLENECK_WIDTHS, start=1):
            x = Bottleneck(width, 1 if stage == 1 else 2, name=f"stage{stage}")(x, train)
        return head(self, x.mean((1, 2)))


class Separable(nn.Module):
    """A 3x3 convolution of each channel, then a 1x1 convolution (Howard et al. 2017, figure 3)."""

    features: int
    stride: int

    @nn.compact
    def __call__(self, x, train):
        channels = x.shape[-1]
        conv = partial(Conv, use_bias=False)
        x = conv(channels, 3, stride=self.stride, padding=1, groups=channels, name="depthwise")(x)
        x = nn.relu(BatchNorm(name="bn1")(x, train=train))
        x = conv(self.features, 1, name="pointwise")(x)
        return nn.relu(BatchNorm(name="bn2")(x, train=train))


class SeparableNet(nn.Module):
    """MobileNet v1 with fewer of the blocks that repeat."""

    num_classes: int = 10
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images, train=False):
        x = Conv(32, 3, stride=2, padding=1, use_bias=False, name="conv1")(images)
        x = nn.relu(BatchNorm(name="bn1")(x, train=train))
        for number, (features, stride) in enumerate(SEPARABLE, start=1):
            x = Separable(features, stride, name=f"block{number}")(x, train)
        return head(self, x.mean((1, 2)))


NETWORKS = {
    "lenet": partial(models.create, "lenet"),
    "course_cnn": partial(models.create, "course_cifar_cnn"),
    "resnet20": partial(models.create, "resnet20"),
    "bottleneck_224": BottleneckNet,
    "depthwise_224": SeparableNet,
}
