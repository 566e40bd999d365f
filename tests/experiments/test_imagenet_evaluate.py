"""What the evaluation of published weights looks at are the pixels that torchvision would show them."""

import json
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments.imagenet import evaluate
from jaxvision import augment, data, models
from jaxvision.data.records import Records
from jaxvision.launch import launch

CLASSES = tuple("abcde")
SIZES = [(37, 50), (61, 20), (26, 27), (9, 23)]  # of the images of each class
PREPROCESS = augment.ImagePreprocess(  # of odd differences, half of which torchvision rounds to the even side
    18, 15, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bicubic"
)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """(data_dir, arrays of the test split) of the prepared data set "sharp", which has no other split."""
    root, rng = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for _ in CLASSES for size in SIZES]
    for i, image in enumerate(images):
        folder = root / "raw" / "val" / CLASSES[i // len(SIZES)]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i:02}.png")
    data.prepare("sharp", root / "raw", root / "data")
    return root / "data", images


def evaluated(photographs, workdir, monkeypatch, preprocess, *flags):
    """A run; (what `models.load` gave, the images delivered by size, result)."""
    model = models.create("multiperceptron", num_classes=len(CLASSES))
    variables = models.initialise(model, jax.random.key(0), jnp.zeros((1, *preprocess.image_shape)))
    delivered, images = {}, Records.images

    def spied(records, indices):
        found = images(records, indices)
        kept = delivered.setdefault(records.image_shape[0], {})
        kept.update(zip(map(int, indices), found))
        return found

    def load(name, path, preprocess):
        assert path is None
        return model, variables, replace(PREPROCESS, **{k: v for k, v in preprocess.items() if v is not None})

    monkeypatch.setattr(Records, "images", spied)
    monkeypatch.setattr(models, "load", load)
    places = ["--workdir", str(workdir), "--data-dir", str(photographs[0])]
    monkeypatch.setattr(sys, "argv", ["evaluate", "--dataset", "sharp", "--eval-batch-size", "8", *flags, *places])
    launch(evaluate.run, evaluate.Config)
    stacked = {size: np.stack([kept[i] for i in sorted(kept)]) for size, kept in delivered.items()}
    return (model, variables), stacked, json.loads((workdir / "result.json").read_text())


def test_every_look_is_at_exactly_resized_pixels(photographs, tmp_path, monkeypatch, capsys):
    (model, variables), delivered, result = evaluated(photographs, tmp_path / "run", monkeypatch, PREPROCESS)
    squares = replace(PREPROCESS, crop_px=18)
    for size, preprocess in ((15, PREPROCESS), (18, squares)):
        np.testing.assert_array_equal(delivered[size], [preprocess.crop_image(image) for image in photographs[1]])
    assert f"preprocessing: {PREPROCESS}\n" in capsys.readouterr().out
    assert result["preprocess"] == str(PREPROCESS)

    def probabilities(crops):
        return np.asarray(jax.nn.softmax(model.apply(variables, PREPROCESS.of_crops(jnp.asarray(crops)))))

    labels = np.repeat(np.arange(len(CLASSES)), len(SIZES))
    once = probabilities(delivered[15])
    ten = np.stack([probabilities(crops) for crops in np.asarray(augment.ten_crop(delivered[18], 15))])
    assert result["test"]["top1"] == pytest.approx((once.argmax(1) == labels).mean())
    assert result["test"]["top1_ten_crop_mean"] == pytest.approx((ten.mean(0).argmax(1) == labels).mean())
    assert result["test"]["top5"] == result["test"]["top5_ten_crop_mean"] == 1


def test_a_preprocessing_is_given_by_flags(photographs, tmp_path, monkeypatch):
    given = replace(PREPROCESS, resize_px=20, interpolation="bilinear", std=(0.5,) * 3)
    flags = ["--resize-px", "20", "--interpolation", "bilinear", "--std", "0.5", "0.5", "0.5", "--no-ten-crop"]
    _, delivered, result = evaluated(photographs, tmp_path / "run", monkeypatch, given, *flags)
    assert delivered.keys() == {15} and result["preprocess"] == str(given)
    np.testing.assert_array_equal(delivered[15], [given.crop_image(image) for image in photographs[1]])


def test_grey_images_for_a_model_of_colours(tmp_path, monkeypatch, capsys):
    for split in ("train", "val"):
        for name in CLASSES:
            folder = tmp_path / "raw" / split / name
            folder.mkdir(parents=True)
            Image.fromarray(np.zeros((20, 20), np.uint8)).save(folder / "0.png")
            Image.fromarray(np.zeros((20, 20), np.uint8)).save(folder / "1.png")
    data.prepare("sharp", tmp_path / "raw", tmp_path / "data")
    with pytest.raises(SystemExit) as stop:
        evaluated((tmp_path / "data", []), tmp_path / "run", monkeypatch, PREPROCESS)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: --dataset sharp: 1 channels, the model has 3\n"


@pytest.mark.parity
def test_every_look_is_torchvisions(photographs, tmp_path, monkeypatch):
    from scripts.benchmarks.torch_oracle import torchvision_and_operators

    transforms = torchvision_and_operators()[0].transforms
    bicubic = transforms.Resize(18, interpolation=transforms.InterpolationMode.BICUBIC)
    _, delivered, _ = evaluated(photographs, tmp_path / "run", monkeypatch, PREPROCESS)
    looks = np.asarray(augment.ten_crop(delivered[18], 15))
    for i, image in enumerate(map(Image.fromarray, photographs[1])):
        resized = bicubic(image)
        np.testing.assert_array_equal(delivered[15][i], transforms.CenterCrop(15)(resized))
        ten = transforms.TenCrop(15)(transforms.CenterCrop(18)(resized))
        np.testing.assert_array_equal(looks[:, i], [np.asarray(look) for look in ten])
