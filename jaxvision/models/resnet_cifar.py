"""Residual networks for CIFAR: He et al., "Deep residual learning for image recognition", 2015, section 4.2.

Depth 6n + 2: a 3x3 convolution, then stages of n blocks with 16, 32 and 64 features at 32x32, 16x16 and 8x8
pixels, global average pooling and a linear classifier, which starts as Flax's Dense does.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.models.blocks import BatchNorm, Conv, head, require_size, tap
from jaxvision.models.residual import HE_NORMAL, BasicBlock, Shortcut, rematerialised, subsample_and_pad


class ResNetCifar(nn.Module):
    """`blocks` is the paper's n, the number of blocks in each of the three stages.

    `norm(name=...)(x, train=train)` normalises. With `shortcut="none"` this is the plain network of the degradation
    experiment, of as many parameters as with "A". `remat` keeps the input of each block only for the gradient.
    `kept` [3 * blocks], which may be traced, is False for the blocks that are taken out after training (Veit et al.
    2016, section 4.1): what came in goes on, by option A where the shape changes.
    """

    blocks: int
    num_classes: int = 10
    shortcut: Shortcut = "A"
    act: Callable = nn.relu
    norm: Callable = BatchNorm
    dtype: jax.typing.DTypeLike = jnp.float32
    remat: bool = False
    kept: jax.Array | None = None

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 1)
        Block = rematerialised(BasicBlock) if self.remat else BasicBlock
        x = Conv(16, 3, padding=1, use_bias=False, kernel_init=HE_NORMAL, dtype=self.dtype, name="conv1")(images)
        x = tap(self, "conv1", self.act(self.norm(name="bn1")(x, train=train)))
        for stage, features in enumerate((16, 32, 64), start=1):
            for number in range(1, self.blocks + 1):
                name = f"stage{stage}_block{number}"
                stride = 2 if stage > 1 and number == 1 else 1
                block = Block(features, stride, self.shortcut, self.act, self.norm, self.dtype, name=name)
                y = block(x, train)
                if self.kept is not None:
                    kept = self.kept[(stage - 1) * self.blocks + number - 1]
                    y = jnp.where(kept, y, subsample_and_pad(x, stride, features))
                x = tap(self, name, y)
            x = tap(self, f"stage{stage}", x)
        return head(self, x.mean((1, 2)))


resnet20 = partial(ResNetCifar, blocks=3)
resnet32 = partial(ResNetCifar, blocks=5)
resnet44 = partial(ResNetCifar, blocks=7)
resnet56 = partial(ResNetCifar, blocks=9)
resnet110 = partial(ResNetCifar, blocks=18)
resnet1202 = partial(ResNetCifar, blocks=200)
plain20 = partial(ResNetCifar, blocks=3, shortcut="none")
plain56 = partial(ResNetCifar, blocks=9, shortcut="none")
