"""BagNets: Brendel & Bethge, "Approximating CNNs with bag-of-local-features models works surprisingly well on
ImageNet", 2019, section 3.1 and figure 1.

A ResNet-50 without padding in which most 3x3 convolutions are 1x1, so that a unit of the last stage sees a patch of
9, 17 or 33 pixels. The rest follows the published weights: the stem is a 1x1 and a 3x3 convolution with one
normalisation after both (of momentum 0.999 in our terms, where all of ours have the same), the stages stride by 2,
2, 2 and 1, only the first block of a stage may have a 3x3 convolution, and shortcuts are cropped at the bottom and
at the right. The classifier starts as Flax's Dense does.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.models.blocks import BatchNorm, Conv, head, require_size, tap
from jaxvision.models.residual import HE_NORMAL, Bottleneck, rematerialised
from jaxvision.ops.pooling import global_avg_pool


class BagNet(nn.Module):
    """The first `wide_stages` stages have a 3x3 convolution: patches are 2**(wide_stages + 1) + 1 pixels wide.

    The logits are the average of those of all patches. Without `average_pool` they are the evidence of each patch
    itself, [B, h, w, K]: that at (i, j) is of the patch_px rows from 8 i on and as many columns from 8 j on. The
    stem has `width` features; `norm(name=...)(x, train=train)` normalises; `remat` keeps the input of each block
    only for the gradient. Raises InputError for images smaller than a patch.
    """

    wide_stages: int
    num_classes: int = 1000
    average_pool: bool = True
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    act: Callable = nn.relu
    norm: Callable = BatchNorm
    dtype: jax.typing.DTypeLike = jnp.float32
    remat: bool = False

    @property
    def patch_px(self) -> int:
        return 2 ** (self.wide_stages + 1) + 1

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, self.patch_px)
        Block = rematerialised(Bottleneck) if self.remat else Bottleneck
        stem = partial(Conv, self.width, use_bias=False, kernel_init=HE_NORMAL, dtype=self.dtype)
        x = stem(3, name="conv2")(stem(1, name="conv1")(images))
        x = tap(self, "conv2", self.act(self.norm(name="bn1")(x, train=train)))
        for stage, count in enumerate(self.blocks, start=1):
            for number in range(1, count + 1):
                name = f"stage{stage}_block{number}"
                block = Block(
                    self.width * 2 ** (stage - 1),
                    2 if stage < 4 and number == 1 else 1,
                    "B",
                    self.act,
                    self.norm,
                    self.dtype,
                    window=3 if stage <= self.wide_stages and number == 1 else 1,
                    pads=False,
                    name=name,
                )
                x = tap(self, name, block(x, train))
            x = tap(self, f"stage{stage}", x)
        return head(self, global_avg_pool(x) if self.average_pool else x)


bagnet9 = partial(BagNet, wide_stages=2)
bagnet17 = partial(BagNet, wide_stages=3)
bagnet33 = partial(BagNet, wide_stages=4)
