"""From uint8 images to what a model takes. Nothing here draws a random number."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.errors import InputError


def to_float(images: jax.Array) -> jax.Array:
    """uint8 0..255 -> float32 in [0, 1]; float images pass as they are; InputError for another type."""
    if jnp.issubdtype(images.dtype, jnp.floating):
        return images
    if images.dtype != jnp.uint8:
        raise InputError(f"images: type {images.dtype}, expected uint8 or float in [0, 1]")
    return images.astype(jnp.float32) / 255


def normalise(images: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """(images - mean) / std for [B, H, W, C], with mean and std per channel [C] or whole images [H, W, C]."""
    return (images - _as_batch(mean)) / _as_batch(std)


def subtract_mean_image(images: jax.Array, mean_image: jax.Array) -> jax.Array:
    """[B, H, W, C] less the mean image [H, W, C] of the training set."""
    return images - mean_image[None]


def scale_to_plus_minus_one(images: jax.Array) -> jax.Array:
    """[0, 1] -> [-1, 1]."""
    return 2 * images - 1


def _as_batch(statistic):
    statistic = jnp.asarray(statistic, jnp.float32)
    return statistic.reshape((1,) * (4 - statistic.ndim) + statistic.shape)


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """What a model was trained to see: images of one shape, less a mean, over a standard deviation.

    `image_shape` is (H, W, C); `mean` and `std`, on the scale [0, 1], are each per channel [C] or a whole
    image [H, W, C]. Arrays and lists are kept as tuples of Python floats, so instances compare and hash.
    """

    image_shape: tuple[int, int, int]
    mean: tuple
    std: tuple

    def __post_init__(self):
        shape = tuple(int(size) for size in self.image_shape)
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(f"image_shape: {shape}, expected (height, width, channels)")
        object.__setattr__(self, "image_shape", shape)
        for field in ("mean", "std"):
            statistic = np.asarray(getattr(self, field), np.float64)
            if statistic.shape not in (shape, shape[2:]):
                raise InputError(f"{field}: shape {statistic.shape}, expected {shape[2:]} or {shape}")
            if not np.isfinite(statistic).all() or (field == "std" and not (statistic > 0).all()):
                raise InputError(f"{field}: holds a number that is not finite{' and positive' * (field == 'std')}")
            object.__setattr__(self, field, _as_tuples(statistic.tolist()))

    @property
    def of_crops(self) -> "Preprocess":
        """What is left to do with images of `image_shape`: here everything."""
        return self

    def __call__(self, images: jax.Array) -> jax.Array:
        """[B, H, W, C], uint8 or float in [0, 1], -> normalised float32; InputError for another shape."""
        if images.ndim != 4 or images.shape[1:] != self.image_shape:
            expected = ", ".join(map(str, self.image_shape))
            raise InputError(f"images: shape {list(images.shape)}, expected [B, {expected}]")
        return normalise(to_float(images).astype(jnp.float32), self.mean, self.std)


def _as_tuples(nested):
    return tuple(map(_as_tuples, nested)) if isinstance(nested, list) else nested
