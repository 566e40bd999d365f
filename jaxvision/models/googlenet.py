"""GoogLeNet: Szegedy et al., "Going deeper with convolutions", 2014, section 5 and table 1.

`googlenet` is the network of torchvision's weight file. It has batch normalisation, with epsilon 1e-3, where the
paper has biases and two local response normalisations, 3x3 convolutions where the paper has 5x5, and a 2x2 pool
before stage 5; kernels start as torchvision's, from N(0, 0.01^2). The file wants images with mean 0.5 and deviation
0.5 taken out of every channel (torchvision's `transform_input`): part of the preprocessing, not of the network.

`googlenet_paper` is the network of the paper, which gives neither the numbers of its response normalisations, here
those of Krizhevsky et al. 2012, nor how kernels start, here as in He et al. 2015. In both, what an auxiliary
classifier sees is averaged to 4x4, whatever the size of the images; the paper's 5x5 windows with stride 3 do so at
224x224 only.
"""

from collections.abc import Callable
from functools import partial
from itertools import groupby

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.models.blocks import BatchNorm, Dropout, flatten, head, require_size, tap, unnormalised
from jaxvision.models.conv_unit import ConvUnit
from jaxvision.ops.activations import identity
from jaxvision.ops.initializers import he_normal, normal
from jaxvision.ops.normalization import local_response_norm
from jaxvision.ops.pooling import adaptive_avg_pool, global_avg_pool, max_pool

FEATURES = {  # table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
AUXILIARIES = {"4a": "aux1", "4d": "aux2"}  # which classifier follows which module


class GoogLeNet(nn.Module):
    """`modules` are inception modules of table 1 in their order; `width` multiplies all their features.

    `large_window` is that of the convolutions called 5x5, `last_pool_window` that of the pool before stage 5.
    Convolutions have biases with `use_bias`, and are normalised by `norm(name=...)(x, train=train)`. With
    `response_norm` there are the two local response normalisations of the stem.

    With `auxiliary`, two more classifiers follow modules 4a and 4d, unless `num_classes` is 0. The result stays the
    logits of the last one; those of the others are the taps "aux1_logits" and "aux2_logits" [B, num_classes], in
    training and after it. A loss reads them by mutable=["batch_stats", "intermediates"] and adds theirs with weight
    0.3 (section 5). Their parameters exist whatever `train` was at initialisation.

    `remat` keeps the input of each module only for the gradient. Raises InputError for unknown modules.
    """

    num_classes: int = 1000
    auxiliary: bool = False
    modules: tuple[str, ...] = tuple(FEATURES)
    width: float = 1.0
    large_window: int = 3
    last_pool_window: int = 2
    use_bias: bool = False
    response_norm: bool = False
    act: Callable = nn.relu
    norm: Callable = partial(BatchNorm, epsilon=1e-3)
    kernel_init: Callable = normal
    dropout_rate: float | jax.Array = 0.2
    auxiliary_dropout_rate: float | jax.Array = 0.7
    dtype: jax.typing.DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 15 if self.last_pool_window == 2 else 31)
        if not set(self.modules) <= FEATURES.keys():
            raise InputError(f"modules: {', '.join(self.modules)}, expected some of {', '.join(FEATURES)}")
        unit = partial(
            ConvUnit,
            use_bias=self.use_bias,
            act=self.act,
            norm=self.norm,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
        )
        pool = partial(max_pool, stride=2, ceil_mode=True)
        normalise = local_response_norm if self.response_norm else identity
        Module = nn.remat(Inception, static_argnums=(2,)) if self.remat else Inception

        x = tap(self, "conv1", unit(self.scaled(64), 7, stride=2, name="conv1")(images, train))
        x = unit(self.scaled(64), 1, name="conv2_reduce")(normalise(pool(x, 3)), train)
        x = tap(self, "conv2", unit(self.scaled(192), 3, name="conv2")(x, train))
        x = normalise(x)
        for stage, modules in groupby(self.modules, key=lambda module: module[0]):
            x = pool(x, self.last_pool_window if stage == "5" else 3)
            for module in modules:
                name = f"inception{module}"
                features = tuple(map(self.scaled, FEATURES[module]))
                x = tap(self, name, Module(features, self.large_window, unit, name=name)(x, train))
                if self.auxiliary and self.num_classes and module in AUXILIARIES:
                    self.classify_early(AUXILIARIES[module], unit, x, train)
            x = tap(self, f"stage{stage}", x)
        x = Dropout(self.dropout_rate)(global_avg_pool(x), train=train)
        return head(self, x, kernel_init=self.kernel_init)

    def scaled(self, features):
        return max(1, round(features * self.width))

    def classify_early(self, name, unit, x, train):
        classifier = AuxiliaryClassifier(
            num_classes=self.num_classes,
            features=self.scaled(128),
            hidden=self.scaled(1024),
            unit=unit,
            act=self.act,
            kernel_init=self.kernel_init,
            dropout_rate=self.auxiliary_dropout_rate,
            dtype=self.dtype,
            name=name,
        )
        tap(self, f"{name}_logits", classifier(x, train))


class Inception(nn.Module):
    """1x1, 3x3 and 5x5 convolutions and a 3x3 pool of the same x, side by side (figure 2b).

    [B, H, W, C] -> [B, H, W, the sum of four of them], `features` being a row of table 1: 1x1 convolutions reduce C
    before the larger windows and project what the pool puts out. `unit` makes a convolution.
    """

    features: tuple[int, int, int, int, int, int]
    large_window: int
    unit: Callable[..., ConvUnit]

    @nn.compact
    def __call__(self, x, train):
        conv1x1, conv3x3_reduce, conv3x3, conv5x5_reduce, conv5x5, pool_proj = self.features
        reduced_3x3 = self.unit(conv3x3_reduce, 1, name="conv3x3_reduce")(x, train)
        reduced_5x5 = self.unit(conv5x5_reduce, 1, name="conv5x5_reduce")(x, train)
        branches = (
            self.unit(conv1x1, 1, name="conv1x1")(x, train),
            self.unit(conv3x3, 3, name="conv3x3")(reduced_3x3, train),
            self.unit(conv5x5, self.large_window, name="conv5x5")(reduced_5x5, train),
            self.unit(pool_proj, 1, name="pool_proj")(max_pool(x, 3, stride=1, padding=1), train),
        )
        return jnp.concatenate(branches, axis=-1)


class AuxiliaryClassifier(nn.Module):
    """Float32 logits [B, num_classes] of features in the middle of the network (section 5)."""

    num_classes: int
    features: int
    hidden: int
    unit: Callable[..., ConvUnit]
    act: Callable
    kernel_init: Callable
    dropout_rate: float | jax.Array
    dtype: jax.typing.DTypeLike

    @nn.compact
    def __call__(self, x, train):
        dense = partial(nn.Dense, kernel_init=self.kernel_init)
        x = self.unit(self.features, 1, name="conv")(adaptive_avg_pool(x, 4), train)
        x = self.act(dense(self.hidden, dtype=self.dtype, name="dense")(flatten(x)))
        x = Dropout(self.dropout_rate)(x, train=train)
        return dense(self.num_classes, dtype=jnp.float32, name="head")(x)


googlenet = GoogLeNet
googlenet_paper = partial(
    GoogLeNet,
    large_window=5,
    last_pool_window=3,
    use_bias=True,
    response_norm=True,
    norm=unnormalised,
    kernel_init=he_normal,
    dropout_rate=0.4,
)
