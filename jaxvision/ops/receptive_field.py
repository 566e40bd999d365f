"""Receptive fields: which pixels a feature can see, computed from the layers or measured from gradients."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.errors import InputError


class Layer(NamedTuple):
    """A convolution or pool along one axis; `padding` is what it adds in front."""

    window: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


class ReceptiveField(NamedTuple):
    """Of the units of a feature map along one axis, in pixels: unit i sees `size` of them from start + i stride.

    In the terms of Araujo et al. `stride` (others call it jump) is the effective stride and -start the effective
    padding.
    """

    size: int
    stride: int
    start: int

    def interval(self, position: int) -> tuple[int, int]:
        """First and last pixel that the unit at `position` sees; they may lie in the padding."""
        first = self.start + position * self.stride
        return first, first + self.size - 1

    def centre(self, position: int) -> float:
        """The middle of `interval`: half a pixel off the grid where the size is even."""
        return sum(self.interval(position)) / 2


PIXEL = ReceptiveField(size=1, stride=1, start=0)


def analytic(layers: Iterable[Layer | tuple[int, ...]], *, of: ReceptiveField = PIXEL) -> ReceptiveField:
    """Receptive field after `layers`, along one axis; `of` is that of the features they begin with.

    With window k, stride s, padding p and dilation d, from the first layer to the last (Araujo, Norris & Sim 2019,
    "Computing receptive fields of convolutional neural networks", distill.pub):

        size <- size + d (k - 1) stride,   start <- start - p stride,   stride <- s stride

    Raises InputError for a layer that cannot be.
    """
    size, stride, start = of
    for layer in layers:
        window, step, padding, dilation = Layer(*layer)
        if min(window, step, dilation) < 1 or padding < 0:
            raise InputError(f"receptive field: {Layer(*layer)}, expected padding >= 0 and the others >= 1")
        size += dilation * (window - 1) * stride
        start -= padding * stride
        stride *= step
    return ReceptiveField(size, stride, start)


def union(*branches: ReceptiveField) -> ReceptiveField:
    """Receptive field of the sum or concatenation of branches: from the first start to the last end.

    Raises InputError where their strides differ: a unit would see places ever farther apart.
    """
    if len({branch.stride for branch in branches}) != 1:
        raise InputError(
            f"receptive field: branches of strides {[b.stride for b in branches]}, expected equal ones"
        )
    start = min(branch.start for branch in branches)
    end = max(branch.start + branch.size for branch in branches)
    return ReceptiveField(end - start, branches[0].stride, start)


def effective(
    f: Callable[[jax.Array], jax.Array],
    image_shape: tuple[int, int, int],
    position: tuple[int, int],
    *,
    draws: int = 16,
    seed: int = 0,
) -> jax.Array:
    """How much each pixel [H, W] matters to the features at `position`: the mean magnitude of their gradient.

    This is the effective receptive field (Luo et al. 2016, "Understanding the effective receptive field", 2). f
    maps images [draws, *image_shape] to features [draws, H', W', D], example by example; position is (row, column)
    in H' x W'. Images and the mixture of the D channels whose gradient is taken are drawn from N(0, 1), `draws`
    times, so that a ReLU that is off or a maximum that lies elsewhere in one draw hides nothing. Raises InputError
    for features of another shape or a position outside of them.
    """
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((draws, *image_shape), np.float32)
    features, (row, column) = jax.eval_shape(f, images), position
    if features.ndim != 4 or not (0 <= row < features.shape[1] and 0 <= column < features.shape[2]):
        raise InputError(
            f"receptive field: position {position} in features of shape {list(features.shape)}, "
            "expected (row, column) in [B, H, W, D]"
        )
    mixture = np.zeros(features.shape, features.dtype)
    mixture[:, row, column] = rng.standard_normal((draws, features.shape[3]))

    @jax.jit
    def mean_magnitude(images, mixture):
        (gradients,) = jax.vjp(f, images)[1](mixture)
        return jnp.abs(gradients).mean(axis=(0, 3))

    return mean_magnitude(images, mixture)


def measured(
    f: Callable[[jax.Array], jax.Array],
    image_shape: tuple[int, int, int],
    position: tuple[int, int],
    *,
    draws: int = 16,
    seed: int = 0,
) -> tuple[tuple[int, int], tuple[int, int]]:
    """((first row, last row), (first column, last column)) of the pixels that `effective` finds to matter at all.

    Equal to the analytic intervals where these lie in the image. Max-pooling passes the gradient to one pixel of
    each window: with few channels it takes more draws to see them all. Convolutions by FFT or Winograd, which a GPU
    may choose, leave rounding errors outside: measure on the CPU. Runs f, so is not for jit. Raises InputError as
    `effective` does, and where no pixel has a gradient.
    """
    seen = np.asarray(effective(f, image_shape, position, draws=draws, seed=seed)) > 0
    if not seen.any():
        raise InputError(f"receptive field: no gradient from {position} reached the images in {draws} draws")
    rows, columns = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    return (int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1]))
