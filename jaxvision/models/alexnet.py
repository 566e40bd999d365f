"""AlexNet: Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", 2012,
and the form that weight files have, after Krizhevsky, "One weird trick for parallelizing convolutional neural
networks", 2014.

The paper of 2012 cuts every other layer in two for two GPUs; here is one tower, and `groups=2` leaves out the same
connections. Its images of 224x224 do not give its 55x55 positions: 227x227 do, or `padding=2`. The weight file is
torchvision's: dropout acts on what enters the hidden layers, not on what leaves them, and kernels start as torch
draws them; biases start at 0, where torch draws them too. In both forms an average pool, the identity at the
published sizes, makes 6x6 of any other size.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.models.blocks import Conv, Dropout, flatten, head, require_size, tap
from jaxvision.ops.activations import identity
from jaxvision.ops.initializers import normal, torch_default, zeros
from jaxvision.ops.normalization import local_response_norm
from jaxvision.ops.pooling import adaptive_avg_pool, max_pool


def convolutions(
    module: nn.Module,
    images: jax.Array,
    *,
    padding: int,
    kernel_init: Callable,
    bias_init: Callable = zeros,
    groups: int = 1,
    normalise: Callable = identity,
) -> jax.Array:
    """The five convolutions and three overlapping pools: [B, H, W, C] -> [B, 6, 6, features of conv5].

    `padding` is that of conv1. `bias_init` and `groups` are for conv2, conv4 and conv5; `normalise` follows conv1
    and conv2.
    """

    def conv(number, x, window, **options):
        name = f"conv{number}"
        initial = {"kernel_init": kernel_init, "dtype": module.dtype}

        def unit(module, x):
            return module.act(Conv(module.features[number - 1], window, name=name, **initial, **options)(x))

        return tap(module, name, (nn.remat(unit) if module.remat else unit)(module, x))

    def pool(number, x):
        return tap(module, f"pool{number}", max_pool(x, 3, stride=2))

    grouped = {"groups": groups, "bias_init": bias_init}
    x = pool(1, normalise(conv(1, images, 11, stride=4, padding=padding)))
    x = pool(2, normalise(conv(2, x, 5, padding=2, **grouped)))
    x = conv(3, x, 3, padding=1)
    x = conv(4, x, 3, padding=1, **grouped)
    x = pool(5, conv(5, x, 3, padding=1, **grouped))
    return adaptive_avg_pool(x, 6)


class AlexNet(nn.Module):
    """The form of the weight file, for images of at least 63x63: 61,100,840 parameters.

    `remat` keeps the input of each convolution only for the gradient.
    """

    features: tuple[int, ...] = (64, 192, 384, 256, 256)
    hidden: int = 4096
    num_classes: int = 1000
    act: Callable = nn.relu
    dropout_rate: float | jax.Array = 0.5
    dtype: jax.typing.DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 63)
        x = flatten(convolutions(self, images, padding=2, kernel_init=torch_default))
        dense = partial(nn.Dense, self.hidden, kernel_init=torch_default, dtype=self.dtype)
        for layer in ("fc6", "fc7"):
            x = Dropout(self.dropout_rate)(x, train=train)
            x = tap(self, layer, self.act(dense(name=layer)(x)))
        return head(self, x, kernel_init=torch_default)


class AlexNet2012(nn.Module):
    """The form of the paper, sections 3 and 5, for images of at least 67x67 (63x63 with `padding=2`).

    62,378,344 parameters, or 60,965,224 where conv2, conv4 and conv5 see the features of their own half only.
    `remat` as in `AlexNet`.
    """

    features: tuple[int, ...] = (96, 256, 384, 384, 256)
    hidden: int = 4096
    num_classes: int = 1000
    groups: int = 1
    padding: int = 0
    act: Callable = nn.relu
    dropout_rate: float | jax.Array = 0.5
    dtype: jax.typing.DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 67 - 2 * self.padding)
        initial = {"kernel_init": normal, "bias_init": nn.initializers.ones}
        x = convolutions(
            self, images, padding=self.padding, groups=self.groups, normalise=local_response_norm, **initial
        )
        x = flatten(x)
        dense = partial(nn.Dense, self.hidden, dtype=self.dtype, **initial)
        for layer in ("fc6", "fc7"):
            x = tap(self, layer, self.act(dense(name=layer)(x)))
            x = Dropout(self.dropout_rate)(x, train=train)
        return head(self, x, kernel_init=normal)
