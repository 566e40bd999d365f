"""Network in network: Lin, Chen & Yan, "Network in network", 2013, in the authors' form for CIFAR-10.

Three mlpconv layers, pools of 3x3 with stride 2 that overhang (the second averages) and dropout between them, and
global average pooling instead of dense layers. The paper leaves the initial weights open: here as He et al. 2015.

It differs from the authors' in the last 1x1 convolution, which gives one map a class: theirs is followed by a ReLU,
here it is linear, so that logits have either sign. Being linear it commutes with the average behind it, and `head`
stands after that average: the maps are features["mlpconv3"] @ kernel + bias, and the logits their averages.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.models.blocks import Conv, Dropout, head, require_size, tap
from jaxvision.ops.initializers import he_normal
from jaxvision.ops.pooling import avg_pool, global_avg_pool, max_pool


class MLPConv(nn.Module):
    """A small perceptron that slides over the image: a convolution, then 1x1 convolutions (section 3.1).

    These are the authors' "cascaded cross channel parametric pooling", hence cccp.
    """

    features: tuple[int, ...]
    window: int
    act: Callable
    dtype: jax.typing.DTypeLike

    @nn.compact
    def __call__(self, x):
        conv = partial(Conv, kernel_init=he_normal, dtype=self.dtype)
        first, *others = self.features
        x = self.act(conv(first, self.window, padding=self.window // 2, name="conv")(x))
        for number, features in enumerate(others, start=1):
            x = self.act(conv(features, 1, name=f"cccp{number}")(x))
        return x


class NiN(nn.Module):
    """Any images of at least 4x4. `features` are those of the three, three and two convolutions before the head.

    `remat` keeps the input of each mlpconv layer only for the gradient.
    """

    features: tuple[int, ...] = (192, 160, 96, 192, 192, 192, 192, 192)
    num_classes: int = 10
    act: Callable = nn.relu
    dropout_rate: float | jax.Array = 0.5
    dtype: jax.typing.DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 4)
        Layer = nn.remat(MLPConv) if self.remat else MLPConv

        def mlpconv(number, x, features, window):
            name = f"mlpconv{number}"
            return tap(self, name, Layer(features, window, self.act, self.dtype, name=name)(x))

        x = mlpconv(1, images, self.features[:3], 5)
        x = tap(self, "pool1", max_pool(x, 3, stride=2, ceil_mode=True))
        x = Dropout(self.dropout_rate)(x, train=train)
        x = mlpconv(2, x, self.features[3:6], 5)
        x = tap(self, "pool2", avg_pool(x, 3, stride=2, ceil_mode=True))
        x = Dropout(self.dropout_rate)(x, train=train)
        x = mlpconv(3, x, self.features[6:], 3)
        return head(self, global_avg_pool(x))
