"""Augmentation and normalisation of images on the device.

An augmentation maps (key, images [B, H, W, C], options by keyword) to images of the same type, uint8 or float
in [0, 1], and does not clip. Each example draws by its row (`batch_axis.row_uniform`, `row_keys`), so the number
of devices does not matter. All of it can be jitted and vmapped. What draws nothing takes no key.
"""

from jaxvision.augment.compose import chain
from jaxvision.augment.crops import ten_crop
from jaxvision.augment.geometry import horizontal_flip, pad_and_crop, random_crop, translate
from jaxvision.augment.normalise import (
    Preprocess,
    normalise,
    scale_to_plus_minus_one,
    subtract_mean_image,
    to_float,
)
from jaxvision.augment.preprocessing import ImagePreprocess, preprocess_of
from jaxvision.augment.resized_crop import random_resized_crop

__all__ = [
    "ImagePreprocess",
    "Preprocess",
    "chain",
    "horizontal_flip",
    "normalise",
    "pad_and_crop",
    "preprocess_of",
    "random_crop",
    "random_resized_crop",
    "scale_to_plus_minus_one",
    "subtract_mean_image",
    "ten_crop",
    "to_float",
    "translate",
]
