"""The multilayer perceptron: flattened image, hidden layers `hidden1`, `hidden2`, ..., linear `head`."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.models.blocks import Dense, Dropout, flatten, head, tap, unnormalised
from jaxvision.ops.initializers import lecun_normal


class MLP(nn.Module):
    """`features` are the widths of the hidden layers; dropout follows each.

    `norm(name=...)(x, train=train)`, called `norm1`, ..., normalises what `act` gets; the layer then needs no bias.
    With `residual` a hidden layer that keeps the width adds its input (He et al. 2015, "Deep residual learning",
    equation 1), the first one too. `kernel_init` starts every layer, the head too.
    """

    features: tuple[int, ...] = (64,)
    num_classes: int = 10
    act: Callable = nn.relu
    norm: Callable = unnormalised
    residual: bool = False
    kernel_init: Callable = lecun_normal
    dropout_rate: float | jax.Array = 0.0
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images, train=False):
        x = flatten(images)
        for number, width in enumerate(self.features, start=1):
            name = f"hidden{number}"
            use_bias = self.norm is unnormalised
            dense = Dense(width, use_bias, kernel_init=self.kernel_init, dtype=self.dtype, name=name)
            y = self.norm(name=f"norm{number}")(dense(x), train=train)
            y = Dropout(self.dropout_rate)(self.act(y), train=train)
            x = tap(self, name, x + y if self.residual and x.shape == y.shape else y)
        return head(self, x, kernel_init=self.kernel_init)
