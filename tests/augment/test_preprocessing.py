import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxvision.augment import ImagePreprocess, Preprocess
from jaxvision.errors import InputError
from scripts.benchmarks.torch_oracle import torchvision_and_operators

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALL = ImagePreprocess(16, 14, MEAN, STD)
SIZES = [(37, 50), (61, 20), (16, 16), (14, 14), (9, 23), (33, 33)]

every_size = pytest.mark.parametrize("size", SIZES)
every_kernel = pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])


def photograph(*shape, seed=0):
    """A smooth image with sharp edges in it: uint8 [*shape]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 4, shape[2]), np.uint8)
    smooth = [
        Image.fromarray(channel).resize(shape[1::-1], Image.Resampling.BICUBIC)
        for channel in coarse.transpose(2, 0, 1)
    ]
    image = np.stack([np.asarray(channel) for channel in smooth], axis=-1)
    image[shape[0] // 3 :, shape[1] // 2] = 255
    return image


@pytest.mark.parametrize(
    ("size", "resized", "corner"),
    [
        ((375, 500), (256, 341), (16, 58)),  # 341.33 is cut, and half of 117, 58.5, goes to the even side
        ((500, 333), (384, 256), (80, 16)),
        ((224, 224), (256, 256), (16, 16)),
        ((100, 301), (256, 770), (16, 273)),
    ],
)
def test_sizes_round_as_in_torchvision(size, resized, corner):
    image = photograph(*size, 3)
    expected = np.asarray(Image.fromarray(image).resize(resized[::-1], Image.Resampling.BILINEAR))
    top, left = corner
    crop = ImagePreprocess(256, 224, MEAN, STD).crop_image(image)
    assert crop.dtype == np.uint8
    np.testing.assert_array_equal(crop, expected[top : top + 224, left : left + 224])


@every_kernel
@every_size
def test_the_device_does_what_the_host_does(size, interpolation):
    channels = 1 if size[0] > size[1] else 3
    preprocess = ImagePreprocess(16, 14, MEAN[:channels], STD[:channels], interpolation)
    images = np.stack([photograph(*size, channels, seed=seed) for seed in range(2)])
    cropped = preprocess.crop(images)
    assert cropped.dtype == jnp.uint8 and cropped.shape == (2, *preprocess.image_shape)
    np.testing.assert_array_equal(cropped, [preprocess.crop_image(image) for image in images])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_without_antialiasing_an_image_that_shrinks_is_another(interpolation):
    sharp = ImagePreprocess(16, 14, MEAN, STD, interpolation, antialias=False)
    image = photograph(37, 50, 3)
    cropped = sharp.crop_image(image)
    np.testing.assert_array_equal(cropped, sharp.crop(image[None])[0])
    blurred = dataclasses.replace(sharp, antialias=True).crop_image(image)
    assert np.abs(cropped.astype(int) - blurred).max() > 30


def test_the_whole_is_its_two_parts():
    images = np.stack([photograph(37, 50, 3, seed=seed) for seed in range(2)])
    whole = jax.jit(SMALL)(images)
    crops = np.asarray(SMALL.crop(images))
    np.testing.assert_allclose(whole, (crops / 255 - MEAN) / STD, rtol=1e-5, atol=1e-5)
    assert SMALL.of_crops == Preprocess((14, 14, 3), MEAN, STD)
    floats = SMALL(images.astype(np.float32) / 255)
    np.testing.assert_allclose(floats, whole, atol=1.01 / 255 / min(STD))


def test_it_survives_json():
    preprocess = ImagePreprocess(248, 224, np.array(MEAN), list(STD), "bicubic")
    again = ImagePreprocess(**json.loads(json.dumps(dataclasses.asdict(preprocess))))
    assert again == preprocess and hash(again) == hash(preprocess)
    assert again.image_shape == (224, 224, 3)


def test_it_says_what_it_is():
    assert str(SMALL) == "resize 16 px bilinear, crop 14 px, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"
    sharp = dataclasses.replace(SMALL, interpolation="bicubic", antialias=False)
    assert "resize 16 px bicubic without antialiasing, " in str(sharp)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop_px": 17}, "crop_px: 17, expected 1 to resize_px, 16"),
        ({"crop_px": 0}, "crop_px: 0"),
        ({"interpolation": "lanczos"}, "'lanczos' is unknown"),
        ({"std": (1.0, 1.0)}, "std: shape"),
        ({"mean": (0.5, float("nan"), 0.5)}, "mean: .* finite"),
    ],
)
def test_other_fields_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SMALL, **fields)


def test_other_images_are_refused():
    with pytest.raises(InputError, match=r"images: shape \[2, 8, 8, 1\], expected \[B, H, W, 3\]"):
        SMALL(jnp.zeros((2, 8, 8, 1)))
    for image in (np.zeros((8, 8, 3)), np.zeros((8, 8, 1), np.uint8), np.zeros((1, 8, 8, 3), np.uint8)):
        with pytest.raises(InputError, match=r"expected uint8 \[H, W, 3\]"):
            SMALL.crop_image(image)


@pytest.mark.parity
@every_kernel
@every_size
def test_it_is_that_of_torchvision(size, interpolation):
    torchvision, _ = torchvision_and_operators()
    InterpolationMode = torchvision.transforms.InterpolationMode
    ImageClassification = torchvision.transforms._presets.ImageClassification

    image = photograph(*size, 3)
    reference = ImageClassification(crop_size=14, resize_size=16, interpolation=InterpolationMode(interpolation))
    expected = reference(Image.fromarray(image)).permute(1, 2, 0)
    preprocess = ImagePreprocess(16, 14, MEAN, STD, interpolation)
    ours = preprocess.of_crops(preprocess.crop_image(image)[None])[0]
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    np.testing.assert_allclose(preprocess(image[None])[0], expected, atol=1e-5)
