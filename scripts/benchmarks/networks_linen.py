"""The networks in plain Flax linen, as its tutorials write them."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp

from scripts.benchmarks.networks import BOTTLENECK_WIDTHS, SEPARABLE

Norm = partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)


class LeNet(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Conv(6, (5, 5), padding=2, name="C1")(x))
        x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = nn.relu(nn.Conv(16, (5, 5), padding=0, name="C3")(x))
        x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape(len(x), -1)
        x = nn.relu(nn.Dense(120, name="C5")(x))
        x = nn.relu(nn.Dense(84, name="F6")(x))
        return nn.Dense(10, name="head")(x)


class CourseCNN(nn.Module):
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x, train):
        ones = ((1, 1), (1, 1))
        x = nn.relu(nn.Conv(32, (5, 5), padding=2, name="C1")(x))
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=ones)
        x = nn.relu(nn.Conv(32, (5, 5), padding=2, name="C3")(x))
        x = nn.avg_pool(x, (3, 3), strides=(2, 2), padding=ones)
        x = nn.relu(nn.Conv(64, (5, 5), padding=2, name="C5")(x))
        x = nn.avg_pool(x, (3, 3), strides=(2, 2), padding=ones)
        x = nn.relu(nn.Dense(64, name="F7")(x.reshape(len(x), -1)))
        x = nn.Dropout(self.dropout_rate)(x, deterministic=not train)
        return nn.Dense(10, name="head")(x)


class BasicBlock(nn.Module):
    features: int
    stride: int

    @nn.compact
    def __call__(self, x, train):
        conv = partial(nn.Conv, self.features, (3, 3), padding=1, use_bias=False)
        norm = partial(Norm, use_running_average=not train)
        y = nn.relu(norm(name="bn1")(conv(strides=self.stride, name="conv1")(x)))
        y = norm(name="bn2")(conv(name="conv2")(y))
        if x.shape != y.shape:
            half = (self.features - x.shape[-1]) // 2
            x = jnp.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (half, half)))
        return nn.relu(y + x)


class ResNet20(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.Conv(16, (3, 3), padding=1, use_bias=False, name="conv1")(x)
        x = nn.relu(Norm(use_running_average=not train, name="bn1")(x))
        for stage, features in enumerate((16, 32, 64), start=1):
            for number in (1, 2, 3):
                stride = 2 if stage > 1 and number == 1 else 1
                x = BasicBlock(features, stride, name=f"stage{stage}_block{number}")(x, train)
        return nn.Dense(10, name="head")(x.mean((1, 2)))


class Bottleneck(nn.Module):
    width: int
    stride: int

    @nn.compact
    def __call__(self, x, train):
        conv = partial(nn.Conv, use_bias=False)
        norm = partial(Norm, use_running_average=not train)
        y = nn.relu(norm(name="bn1")(conv(self.width, (1, 1), name="conv1")(x)))
        y = conv(self.width, (3, 3), strides=self.stride, padding=1, name="conv2")(y)
        y = nn.relu(norm(name="bn2")(y))
        y = norm(name="bn3")(conv(4 * self.width, (1, 1), name="conv3")(y))
        x = conv(4 * self.width, (1, 1), strides=self.stride, name="conv_shortcut")(x)
        return nn.relu(y + norm(name="bn_shortcut")(x))


class BottleneckNet(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.Conv(64, (7, 7), strides=2, padding=3, use_bias=False, name="conv1")(x)
        x = nn.relu(Norm(use_running_average=not train, name="bn1")(x))
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for stage, width in enumerate(BOTTLENECK_WIDTHS, start=1):
            x = Bottleneck(width, 1 if stage == 1 else 2, name=f"stage{stage}")(x, train)
        return nn.Dense(10, name="head")(x.mean((1, 2)))


class Separable(nn.Module):
    features: int
    stride: int

    @nn.compact
    def __call__(self, x, train):
        channels = x.shape[-1]
        conv = partial(nn.Conv, use_bias=False)
        norm = partial(Norm, use_running_average=not train)
        x = conv(channels, (3, 3), self.stride, padding=1, feature_group_count=channels, name="depthwise")(x)
        x = nn.relu(norm(name="bn1")(x))
        return nn.relu(norm(name="bn2")(conv(self.features, (1, 1), name="pointwise")(x)))


class SeparableNet(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.Conv(32, (3, 3), strides=2, padding=1, use_bias=False, name="conv1")(x)
        x = nn.relu(Norm(use_running_average=not train, name="bn1")(x))
        for number, (features, stride) in enumerate(SEPARABLE, start=1):
            x = Separable(features, stride, name=f"block{number}")(x, train)
        return nn.Dense(10, name="head")(x.mean((1, 2)))


NETWORKS = {
    "lenet": LeNet,
    "course_cnn": CourseCNN,
    "resnet20": ResNet20,
    "bottleneck_224": BottleneckNet,
    "depthwise_224": SeparableNet,
}
