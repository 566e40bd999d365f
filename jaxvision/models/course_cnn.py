"""Small convolutional networks: two of the course "Deep Learning for Computer Vision", one for 8x8 digits."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.models.blocks import Conv, Dense, Dropout, flatten, head, require_size, tap
from jaxvision.ops.pooling import avg_pool, max_pool


class CourseMnistCNN(nn.Module):
    """Nine 5x5 filters (28x28 -> 24x24x9), 2x2 max-pooling (12x12x9), classifier.

    Without `pool` the head alone has 51,840 weights.
    """

    num_classes: int = 10
    act: Callable = nn.relu
    pool: bool = True
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 6)
        x = tap(self, "conv1", self.act(Conv(9, 5, dtype=self.dtype, name="conv1")(images)))
        if self.pool:
            x = tap(self, "pool1", max_pool(x, 2))
        return head(self, flatten(x))


class CourseCifarCNN(nn.Module):
    """C1 P2(max) C3 P4(average) C5 P6(average) F7 F8; F8 is the `head`, dropout follows F7.

    The course leaves the sizes open. These are of Krizhevsky's cuda-convnet "quick" network: 5x5 filters, 3x3
    pools with stride 2, 145,578 parameters for 32x32x3.
    """

    num_classes: int = 10
    act: Callable = nn.relu
    dropout_rate: float | jax.Array = 0.5
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 1)
        x = tap(self, "C1", self.act(Conv(32, 5, padding=2, dtype=self.dtype, name="C1")(images)))
        x = tap(self, "P2", max_pool(x, 3, stride=2, padding=1))
        x = tap(self, "C3", self.act(Conv(32, 5, padding=2, dtype=self.dtype, name="C3")(x)))
        x = tap(self, "P4", avg_pool(x, 3, stride=2, padding=1))
        x = tap(self, "C5", self.act(Conv(64, 5, padding=2, dtype=self.dtype, name="C5")(x)))
        x = tap(self, "P6", avg_pool(x, 3, stride=2, padding=1))
        x = tap(self, "F7", self.act(Dense(64, dtype=self.dtype, name="F7")(flatten(x))))
        x = Dropout(self.dropout_rate)(x, train=train)
        return head(self, x, tapped_as="F8")


class DigitsCNN(nn.Module):
    """Two 3x3 convolutions, 2x2 max-pooling, a hidden layer with dropout: for scikit-learn's 8x8 digits."""

    num_classes: int = 10
    act: Callable = nn.relu
    dropout_rate: float | jax.Array = 0.25
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images, train=False):
        require_size(self, images, 2)
        x = tap(self, "conv1", self.act(Conv(16, 3, padding=1, dtype=self.dtype, name="conv1")(images)))
        x = tap(self, "conv2", self.act(Conv(32, 3, padding=1, dtype=self.dtype, name="conv2")(x)))
        x = tap(self, "pool", max_pool(x, 2))
        x = tap(self, "hidden", self.act(Dense(64, dtype=self.dtype, name="hidden")(flatten(x))))
        x = Dropout(self.dropout_rate)(x, train=train)
        return head(self, x)
