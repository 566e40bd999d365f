"""What published weights expect of a photograph: scaled, cut to its centre, normalised."""

import dataclasses

import jax
import numpy as np

from jaxvision.augment.normalise import Preprocess
from jaxvision.errors import InputError
from jaxvision.ops.resampling import Interpolation, resize


@dataclasses.dataclass(frozen=True)
class ImagePreprocess:
    """The evaluation of ImageNet models: torchvision's `ImageClassification`, as data.

    The whole of it is a call, `preprocess(images)`. A reader that meets images of many sizes has it in two parts:
    `crop_image` on the host, one image at a time, then `of_crops` on a batch.

    Attributes:
      resize_px: what the shorter side becomes; the longer one keeps the proportions, rounded down.
      crop_px: side of the square cut from the centre, at most resize_px.
      mean, std: per channel [C], on the scale [0, 1].
      interpolation: "nearest", "bilinear" or "bicubic".
      antialias: whether an image that shrinks is blurred; PIL, and so torchvision on files, always does.
    """

    resize_px: int
    crop_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation = "bilinear"
    antialias: bool = True

    def __post_init__(self):
        if not 1 <= self.crop_px <= self.resize_px:
            raise InputError(f"crop_px: {self.crop_px}, expected 1 to resize_px, {self.resize_px}")
        if self.interpolation not in ("nearest", "bilinear", "bicubic"):
            raise InputError(
                f"interpolation: {self.interpolation!r} is unknown, expected nearest, bilinear or bicubic"
            )
        for field in ("mean", "std"):
            object.__setattr__(self, field, getattr(self.of_crops, field))  # as numbers that compare and hash

    def __str__(self):
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        kernel = self.interpolation + " without antialiasing" * (not self.antialias)
        return f"resize {self.resize_px} px {kernel}, crop {self.crop_px} px, mean {mean}, std {std}"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of a crop."""
        return (self.crop_px, self.crop_px, len(self.mean))

    @property
    def of_crops(self) -> Preprocess:
        """What is left to do with images of `image_shape`."""
        return Preprocess(self.image_shape, self.mean, self.std)

    def __call__(self, images: jax.Array) -> jax.Array:
        """[B, H, W, C] of any one size, uint8 or float in [0, 1], -> normalised float32 crops."""
        return self.of_crops(self.crop(images))

    def crop(self, images: jax.Array) -> jax.Array:
        """[B, H, W, C] of any one size -> [B, crop_px, crop_px, C] of the same type, on the device.

        Equal to `crop_image` for uint8 images.
        """
        if images.ndim != 4 or images.shape[3] != len(self.mean):
            raise InputError(f"images: shape {list(images.shape)}, expected [B, H, W, {len(self.mean)}]")
        size = self._resized(images.shape[1:3])
        images = resize(images, size, interpolation=self.interpolation, antialias=self.antialias)
        return images[:, *self._centre(size)]

    def crop_image(self, image: np.ndarray) -> np.ndarray:
        """One image uint8 [H, W, C] of any size -> uint8 [crop_px, crop_px, C], on the host, bit by bit as PIL."""
        from PIL import Image

        channels = len(self.mean)
        if image.ndim != 3 or image.shape[2] != channels or image.dtype != np.uint8:
            raise InputError(
                f"image: {image.dtype} of shape {list(image.shape)}, expected uint8 [H, W, {channels}]"
            )
        if not self.antialias and self.interpolation != "nearest":  # PIL can't
            return np.asarray(self.crop(image[None])[0])
        height, width = self._resized(image.shape[:2])
        picture = Image.fromarray(image[..., 0] if channels == 1 else image)
        picture = picture.resize((width, height), Image.Resampling[self.interpolation.upper()])
        return np.asarray(picture).reshape(height, width, channels)[self._centre((height, width))]

    def _resized(self, size):
        shorter = min(size)
        return tuple(self.resize_px if side == shorter else int(self.resize_px * side / shorter) for side in size)

    def _centre(self, size):
        corner = (round((side - self.crop_px) / 2) for side in size)  # halves to the even side, as torchvision
        return tuple(slice(start, start + self.crop_px) for start in corner)


def preprocess_of(record: dict) -> Preprocess | ImagePreprocess:
    """The preprocessing that `dataclasses.asdict` made the record of."""
    return (ImagePreprocess if "resize_px" in record else Preprocess)(**record)
