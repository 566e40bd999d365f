"""The multilayer perceptron: flattened image, hidden layers `hidden1`, `hidden2`, ..., linear `head`."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.models.blocks import Dropout, flatten, head, tap


class MLP(nn.Module):
    """`features` are the widths of the hidden layers; dropout follows each."""

    features: tuple[int, ...] = (64,)
    num_classes: int = 10
    act: Callable = nn.relu
    dropout_rate: float | jax.Array = 0.0
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images, train=False):
        x = flatten(images)
        for number, width in enumerate(self.features, start=1):
            name = f"hidden{number}"
            x = tap(self, name, self.act(nn.Dense(width, dtype=self.dtype, name=name)(x)))
            x = Dropout(self.dropout_rate)(x, train=train)
        return head(self, x)
