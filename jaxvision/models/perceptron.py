"""The perceptron (Rosenblatt 1958), one output per class, and its differentiable form.

y = f(x Wᵀ + b) of the flattened image x. The weights lie in `head/kernel` [D, K], the transpose of W. The
feature before f is tapped as "pre_activation".
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.models.blocks import flatten, head, tap
from jaxvision.ops.activations import step


class Perceptron(nn.Module):
    """f is a step, +1 at >= 0 and else -1: several classes may answer +1, and nothing ranks them."""

    num_classes: int = 10
    act: Callable = step
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images, train=False):
        x = head(self, flatten(images), tapped_as="pre_activation")
        return x if self.num_classes == 0 else tap(self, "logits", self.act(x))


# With act=identity this is the linear softmax classifier.
Multiperceptron = functools.partial(Perceptron, act=jnp.tanh)
