"""LeNet-5: LeCun et al., "Gradient-based learning applied to document recognition", 1998, II.B, figure 2.

The modern form of 61,706 parameters on 28x28x1. It differs from the paper: S2 and S4 take plain maxima
without weights, C3 sees every map of S2, the head is linear instead of radial basis functions, and the
activation is ReLU (in the paper scaled tanh; act=jnp.tanh comes close).
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.models.blocks import Conv, Dense, flatten, head, require_size, tap
from jaxvision.ops.pooling import max_pool


class LeNet5(nn.Module):
    """Any images of at least 12x12: C5 takes whatever S4 leaves, 5x5x16 for 28x28 (padded to 32x32 by C1)."""

    num_classes: int = 10
    act: Callable = nn.relu
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 12)
        x = tap(self, "C1", self.act(Conv(6, 5, padding=2, dtype=self.dtype, name="C1")(images)))
        x = tap(self, "S2", max_pool(x, 2))
        x = tap(self, "C3", self.act(Conv(16, 5, dtype=self.dtype, name="C3")(x)))
        x = tap(self, "S4", max_pool(x, 2))
        x = tap(self, "C5", self.act(Dense(120, dtype=self.dtype, name="C5")(flatten(x))))
        x = tap(self, "F6", self.act(Dense(84, dtype=self.dtype, name="F6")(x)))
        return head(self, x)
