"""Residual networks for ImageNet: He et al., "Deep residual learning for image recognition", 2015, section 4.1.

A 7x7 convolution and a maximum pool, each of stride 2, then the stages of table 1, global average pooling and a
linear classifier. With the defaults these are the networks of torchvision's and timm's weight files. They deviate
from the paper where `residual` says so; the classifier starts as Flax's Dense does.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.models.blocks import BatchNorm, Conv, head, require_size, tap
from jaxvision.models.residual import HE_NORMAL, BasicBlock, Bottleneck, Shortcut, rematerialised
from jaxvision.ops.pooling import global_avg_pool, max_pool


class ResNet(nn.Module):
    """`blocks` of each stage; the first works with `width` features, every further one with twice as many.

    A stage ends with as many, or with four times as many where it is made of bottlenecks. `shortcut` and
    `zero_init` are those of `residual.ResidualBlock`; "none" makes a plain network. `dilate` names stages, as in
    (3, 4), that keep the size of their input and dilate all windows after the stride they leave out. Their features
    are those of the strided network, of the same weights, with others between (Chen et al. 2015, "Semantic image
    segmentation with deep convolutional nets and fully connected CRFs", section 3.1).
    `norm(name=...)(x, train=train)` normalises. `remat` keeps the input of each block only for the gradient. Raises
    InputError for stages in `dilate` that have no stride.
    """

    blocks: tuple[int, ...]
    bottleneck: bool
    num_classes: int = 1000
    width: int = 64
    shortcut: Shortcut = "B"
    zero_init: bool = False
    dilate: tuple[int, ...] = ()
    act: Callable = nn.relu
    norm: Callable = BatchNorm
    dtype: jax.typing.DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 1)
        strided = range(2, len(self.blocks) + 1)
        if not set(self.dilate) <= set(strided):
            raise InputError(f"dilate: stages {list(self.dilate)}, expected some of {list(strided)}")
        Block = Bottleneck if self.bottleneck else BasicBlock
        Block = rematerialised(Block) if self.remat else Block
        stem = partial(Conv, use_bias=False, kernel_init=HE_NORMAL, dtype=self.dtype)
        x = stem(self.width, 7, stride=2, padding=3, name="conv1")(images)
        x = tap(self, "conv1", self.act(self.norm(name="bn1")(x, train=train)))
        x = max_pool(x, 3, stride=2, padding=1)
        dilation = 1
        for stage, count in enumerate(self.blocks, start=1):
            for number in range(1, count + 1):
                stride, dilation_before = 2 if stage > 1 and number == 1 else 1, dilation
                if stage in self.dilate:
                    stride, dilation = 1, dilation * stride
                name = f"stage{stage}_block{number}"
                block = Block(
                    self.width * 2 ** (stage - 1),
                    stride,
                    self.shortcut,
                    self.act,
                    self.norm,
                    self.dtype,
                    dilations=(dilation_before, dilation),
                    zero_init=self.zero_init,
                    name=name,
                )
                x = tap(self, name, block(x, train))
            x = tap(self, f"stage{stage}", x)
        return head(self, global_avg_pool(x))


resnet18 = partial(ResNet, blocks=(2, 2, 2, 2), bottleneck=False)
resnet34 = partial(ResNet, blocks=(3, 4, 6, 3), bottleneck=False)
resnet50 = partial(ResNet, blocks=(3, 4, 6, 3), bottleneck=True)
resnet101 = partial(ResNet, blocks=(3, 4, 23, 3), bottleneck=True)
resnet152 = partial(ResNet, blocks=(3, 8, 36, 3), bottleneck=True)
