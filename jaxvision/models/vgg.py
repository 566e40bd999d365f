"""VGG: Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014, table 1.

Stages of 3x3 convolutions, a 2x2 pool behind each, and three dense layers. The networks A, B, D and E are those of
torchvision's weight files, with and without batch normalisation, which the paper does not have; A-LRN and C are the
paper's alone. Kernels start as torchvision's do: by He et al. 2015 in the convolutions (the paper starts from A's),
from N(0, 0.01^2) in the dense layers. An average pool, the identity at 224x224, makes 7x7 of any other size.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.models.blocks import BatchNorm, Conv, Dropout, flatten, head, require_size, tap, unnormalised
from jaxvision.ops.initializers import he_normal, normal
from jaxvision.ops.normalization import local_response_norm
from jaxvision.ops.pooling import adaptive_avg_pool, max_pool


class VGG(nn.Module):
    """`depths` are the convolutions of each stage, `features` their widths, `hidden` that of fc6 and fc7.

    The average pool before fc6 leaves `pooled_px` pixels a side. With `pointwise_third` the third convolution of a
    stage is 1x1 (network C), with `response_norm` the first is followed by local response normalisation (A-LRN).
    `norm(name=...)(x, train=train)` normalises what every convolution puts out. `remat` keeps the input of each
    convolution only for the gradient.
    """

    depths: tuple[int, ...]
    features: tuple[int, ...] = (64, 128, 256, 512, 512)
    hidden: int = 4096
    pooled_px: int = 7
    num_classes: int = 1000
    pointwise_third: bool = False
    response_norm: bool = False
    act: Callable = nn.relu
    norm: Callable = unnormalised
    dropout_rate: float | jax.Array = 0.5
    dtype: jax.typing.DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        if len(self.depths) != len(self.features):
            raise InputError(f"VGG: depths of {len(self.depths)} stages, but features of {len(self.features)}")
        require_size(self, images, 2 ** len(self.depths))
        conv = partial(Conv, kernel_init=partial(he_normal, fan="out"), dtype=self.dtype)

        def unit(module, x, name, features, window):
            x = conv(features, window, padding=window // 2, name=f"conv{name}")(x)
            return module.act(module.norm(name=f"bn{name}")(x, train=train))

        unit = nn.remat(unit, static_argnums=(2, 3, 4)) if self.remat else unit
        x = images
        for stage, (depth, features) in enumerate(zip(self.depths, self.features), start=1):
            for number in range(1, depth + 1):
                name = f"{stage}_{number}"
                window = 1 if self.pointwise_third and number == 3 else 3
                x = tap(self, f"conv{name}", unit(self, x, name, features, window))
                if self.response_norm and stage == number == 1:
                    x = local_response_norm(x)
            x = tap(self, f"stage{stage}", max_pool(x, 2))
        x = flatten(adaptive_avg_pool(x, self.pooled_px))
        dense = partial(nn.Dense, self.hidden, kernel_init=normal, dtype=self.dtype)
        for layer in ("fc6", "fc7"):
            x = tap(self, layer, self.act(dense(name=layer)(x)))
            x = Dropout(self.dropout_rate)(x, train=train)
        return head(self, x, kernel_init=normal)


vgg11 = partial(VGG, depths=(1, 1, 2, 2, 2))  # A
vgg11_lrn = partial(vgg11, response_norm=True)  # A-LRN
vgg13 = partial(VGG, depths=(2, 2, 2, 2, 2))  # B
vgg16 = partial(VGG, depths=(2, 2, 3, 3, 3))  # D
vgg16_c = partial(vgg16, pointwise_third=True)  # C
vgg19 = partial(VGG, depths=(2, 2, 4, 4, 4))  # E

vgg11_bn = partial(vgg11, norm=BatchNorm)
vgg13_bn = partial(vgg13, norm=BatchNorm)
vgg16_bn = partial(vgg16, norm=BatchNorm)
vgg19_bn = partial(vgg19, norm=BatchNorm)
