"""What several model families share: taps, layers, the head.

A model is a linen module with fields `num_classes`, `dtype` (compute type) and, where it has one, `act`;
`apply(variables, images, train=False)` maps float32 images [B, H, W, C] to float32 logits [B, K], or to the
embedding [B, D] where `num_classes` is 0. Parameters are float32.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.batch_axis import BATCH_AXIS, needs_reduction, row_uniform
from jaxvision.errors import InputError
from jaxvision.ops.convolution import conv2d, conv_transpose2d
from jaxvision.ops.initializers import lecun_normal
from jaxvision.ops.normalization import batch_norm, batch_statistics, group_norm, layer_norm
from jaxvision.ops.output_size import both_axes
from jaxvision.ops.product import product

Pair = int | tuple[int, int]


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


class Conv(nn.Module):
    """Cross-correlation with integer padding, [B, H, W, C] -> [B, H', W', features]; sizes as in `ops.conv2d`.

    Parameters have the names and shapes of linen's: "kernel" [h, w, C / groups, features] and "bias" [features].
    Pairs are (vertical, horizontal).
    """

    features: int
    window: Pair
    stride: Pair = 1
    padding: Pair = 0
    dilation: Pair = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        shape = (*both_axes(self.window), images.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        output = conv2d(
            images.astype(self.dtype),
            kernel.astype(self.dtype),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return _with_bias(self, output)


class ConvTranspose(nn.Module):
    """Transposed convolution, [B, H, W, C] -> [B, H', W', features]; sizes as in `ops.conv_transpose2d`.

    Parameters have the names, shapes and meaning of linen's: "kernel" [h, w, C, features] is that of torch with the
    window turned by 180 degrees, and "bias" [features].
    """

    features: int
    window: Pair
    stride: Pair = 1
    padding: Pair = 0
    output_padding: Pair = 0
    dilation: Pair = 1
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros
    dtype: jax.typing.DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        shape = (*both_axes(self.window), images.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        output = conv_transpose2d(
            images.astype(self.dtype),
            kernel[::-1, ::-1].swapaxes(2, 3).astype(self.dtype),
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
        )
        return _with_bias(self, output)


def _with_bias(layer, output):
    if not layer.use_bias:
        return output
    bias = layer.param("bias", layer.bias_init, (layer.features,))
    return output + bias.astype(output.dtype).reshape(1, 1, 1, -1)


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy 2015, algorithms 1 and 2) over all axes but the last.

    With `train`, the statistics are those of the whole batch, on however many devices it lies, and the running
    ones (collection "batch_stats": "mean", "var") move towards them by 1 - momentum; the running variance is the
    unbiased estimate, as in the paper and in torch. Without, the running ones serve. Rows where `mask` [B] is 0 do
    not count. Parameters have linen's names: "scale", "bias". Statistics are float32; the output has the type of x.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    scale_init: Callable = nn.initializers.ones

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, mask: jax.Array | None = None) -> jax.Array:
        mean = self.variable("batch_stats", "mean", jnp.zeros, x.shape[-1:])
        variance = self.variable("batch_stats", "var", jnp.ones, x.shape[-1:])
        scale, bias = _scale_and_bias(self, x)
        if not train:
            return batch_norm(x, mean.value, variance.value, scale, bias, epsilon=self.epsilon)
        axis_name = BATCH_AXIS if needs_reduction() else None
        batch_mean, batch_variance, count = batch_statistics(x, mask=mask, axis_name=axis_name)
        if not self.is_initializing():
            unbiased = batch_variance * count / jnp.maximum(count - 1, 1)
            mean.value = self.momentum * mean.value + (1 - self.momentum) * batch_mean
            variance.value = self.momentum * variance.value + (1 - self.momentum) * unbiased
        return batch_norm(x, batch_mean, batch_variance, scale, bias, epsilon=self.epsilon)


class LayerNorm(nn.Module):
    """Layer normalisation (Ba et al. 2016) of the channels at each position, in training and after.

    Parameters and types are those of `BatchNorm`.
    """

    epsilon: float = 1e-6
    scale_init: Callable = nn.initializers.ones

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        return layer_norm(x, *_scale_and_bias(self, x), epsilon=self.epsilon)


class GroupNorm(nn.Module):
    """Group normalisation (Wu & He 2018) of `group_size` neighbouring channels, in training and after.

    A size and not a number of groups (their table 3 has both), because it suits any width: the usual 32 groups
    would be pairs of 64 features, and without positions to average over, a pair becomes (1, -1) or (-1, 1).
    Parameters and types are those of `BatchNorm`. Raises InputError where the size does not divide the channels.
    """

    group_size: int = 16
    epsilon: float = 1e-5
    scale_init: Callable = nn.initializers.ones

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        channels = x.shape[-1]
        if channels % self.group_size:
            raise InputError(f"GroupNorm: {channels} channels do not divide into groups of {self.group_size}")
        groups = channels // self.group_size
        return group_norm(x, *_scale_and_bias(self, x), groups=groups, epsilon=self.epsilon)


def unnormalised(**fields) -> Callable:
    """The `norm` of a model that shall have none."""
    return lambda x, *, train: x


NORMS = {"none": unnormalised, "batch": BatchNorm, "layer": LayerNorm, "group": GroupNorm}


def _scale_and_bias(layer, x):
    scale = layer.param("scale", layer.scale_init, x.shape[-1:])
    return scale, layer.param("bias", nn.initializers.zeros, x.shape[-1:])


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014): zero with probability `rate`, else scale by 1 / (1 - rate).

    Each example draws by its row in the global batch, so any number of devices draws the same.
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
        keep = row_uniform(self.make_rng("dropout"), len(x), x.shape[1:]) < keep_rate
        return jnp.where(keep, x / keep_rate, 0).astype(x.dtype)


class Dense(nn.Dense):
    """linen's, by `ops.product`: for hidden layers of networks that are small enough to be trained many at once."""

    dot_general: Callable = lambda x, kernel, _, precision: product(x, kernel, precision=precision)


def flatten(x: jax.Array) -> jax.Array:
    """[B, ...] -> [B, D]."""
    return x.reshape(len(x), -1)


def head(
    module: nn.Module,
    embedding: jax.Array,
    *,
    tapped_as: str = "logits",
    kernel_init: Callable = lecun_normal,
) -> jax.Array:
    """Float32 logits [B, num_classes] of an embedding [B, D], or the embedding where `num_classes` is 0."""
    if module.num_classes == 0:
        return embedding.astype(jnp.float32)
    exact_sums = functools.partial(jax.lax.dot_general, preferred_element_type=jnp.float32)
    dense = nn.Dense(
        module.num_classes, kernel_init=kernel_init, dtype=module.dtype, dot_general=exact_sums, name="head"
    )
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


def statistics_of_batch(
    model: nn.Module, variables: dict, images: jax.Array, *, mask: jax.Array | None = None
) -> dict:
    """Mean and unbiased variance of this batch at every `BatchNorm` of the model, as {"batch_stats": ...}.

    Each of them normalises by the batch's statistics, over all devices and blind to rows where `mask` [B] is 0;
    all else, such as dropout, is as in evaluation. Works for models whose normalisations come from a field
    `norm`; raises InputError where that makes no `BatchNorm`.
    """
    if "batch_stats" not in variables:
        raise InputError(f"{type(model).__name__}: no batch normalisation in it, so no statistics of a batch")

    def norm(**fields):
        layer = model.norm(momentum=0.0, **fields)
        return lambda x, *, train: layer(x, train=True, mask=mask)

    return model.clone(norm=norm).apply(variables, images, mutable="batch_stats")[1]


def parameter_count(variables: dict) -> int:
    """Number of parameters, of arrays or of what `jax.eval_shape` returns."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
