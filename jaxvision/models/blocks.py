"""What several model families share: taps, layers, the head.

A model is a linen module with fields `num_classes`, `dtype` (compute type) and, where it has one, `act`;
`apply(variables, images, train=False)` maps float32 images [B, H, W, C] to float32 logits [B, K], or to the
embedding [B, D] where `num_classes` is 0. Parameters are float32.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.batch_axis import row_keys
from jaxvision.errors import InputError


def tap(module: nn.Module, name: str, x: jax.Array) -> jax.Array:
    """Make the feature x, and the gradient with respect to it, reachable by name; return x.

    `apply(..., mutable="intermediates")` also returns x under that name. A variable of that name in the
    collection "perturbations", usually zeros, is added to x, so that its gradient is the gradient at x; give
    as many or as few as wanted. In any other apply this is the identity. A layer without taps may have the
    same name.
    """
    if module.has_variable("perturbations", name):
        x = x + module.get_variable("perturbations", name)
    if module.is_mutable_collection("intermediates"):
        if module.has_variable("intermediates", name):
            raise ValueError(f"two taps are called {name!r}, or `intermediates` of an earlier apply were passed in")
        module.put_variable("intermediates", name, x)
    return x


def Conv(
    features: int,
    window: int,
    *,
    stride: int = 1,
    padding: int = 0,
    dtype: jax.typing.DTypeLike = jnp.float32,
    name: str | None = None,
) -> nn.Conv:
    """Square cross-correlation with bias and integer padding: [B, H, W, C] -> [B, H', W', features].

    H' = (H + 2 padding - window) // stride + 1.
    """
    pads = ((padding, padding), (padding, padding))
    return nn.Conv(features, (window, window), (stride, stride), padding=pads, dtype=dtype, name=name)


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014): zero with probability `rate`, else scale by 1 / (1 - rate).

    Each example draws from a key of its own row in the global batch, so any number of devices draws the same.
    `rate` lies in [0, 1) and may be traced; the Python number 0 draws nothing. Uses the stream "dropout".
    """

    rate: float | jax.Array

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        if isinstance(self.rate, (int, float)):
            if not 0 <= self.rate < 1:
                raise InputError(f"dropout rate: {self.rate} is not in [0, 1)")
            if self.rate == 0:
                return x
        if not train:
            return x
        keep_rate = 1 - self.rate
        keys = row_keys(self.make_rng("dropout"), len(x))
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, keep_rate, x.shape[1:]))(keys)
        return jnp.where(keep, x / keep_rate, 0).astype(x.dtype)


def flatten(x: jax.Array) -> jax.Array:
    """[B, ...] -> [B, D]."""
    return x.reshape(len(x), -1)


def head(module: nn.Module, embedding: jax.Array, *, tapped_as: str = "logits") -> jax.Array:
    """Float32 logits [B, num_classes] of an embedding [B, D], or the embedding where `num_classes` is 0."""
    if module.num_classes == 0:
        return embedding.astype(jnp.float32)
    exact_sums = functools.partial(jax.lax.dot_general, preferred_element_type=jnp.float32)
    dense = nn.Dense(module.num_classes, dtype=module.dtype, dot_general=exact_sums, name="head")
    return tap(module, tapped_as, dense(embedding))


def require_size(module: nn.Module, images: jax.Array, least_px: int) -> None:
    """Raise InputError unless images are [B, H, W, C] with H and W at least `least_px`."""
    if images.ndim != 4 or min(images.shape[1:3]) < least_px:
        raise InputError(
            f"{type(module).__name__}: images of shape {list(images.shape)}, "
            f"expected [B, H, W, C] with H and W at least {least_px}"
        )


def initialise(model: nn.Module, key: jax.Array, images: jax.Array) -> dict:
    """Fresh variables for images of this shape: "params" and whatever state the model has ("batch_stats")."""
    return jax.jit(lambda key: model.init(key, jnp.zeros(images.shape), train=False))(key)


def parameter_count(variables: dict) -> int:
    """Number of parameters, of arrays or of what `jax.eval_shape` returns."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
