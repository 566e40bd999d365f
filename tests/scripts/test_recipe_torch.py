"""The recipe in PyTorch augments as ours does, and takes its steps."""

import json

import numpy as np
import pytest

from jaxvision.data import prepare

pytestmark = pytest.mark.parity


def test_an_augmented_image_is_a_shift_of_it_or_of_its_mirror_on_black():
    from scripts.benchmarks.recipe_torch import PADDING, augmented

    rng = np.random.default_rng(0)
    image = rng.integers(1, 256, (9, 7, 3), np.uint8)
    found = augmented(np.repeat(image[None], 400, 0), rng)
    padded = np.pad(image, ((PADDING, PADDING), (PADDING, PADDING), (0, 0))).astype(np.float32) / 255
    crops = [padded[y : y + 9, x : x + 7] for y in range(2 * PADDING + 1) for x in range(2 * PADDING + 1)]
    allowed = {crop.tobytes() for crop in crops} | {crop[:, ::-1].tobytes() for crop in crops}
    seen = {np.ascontiguousarray(crop).tobytes() for crop in found}
    assert seen <= allowed
    assert len(seen) > 100


def test_a_short_training_is_written_with_its_settings(tmp_path):
    from scripts.benchmarks.recipe_torch import main

    folder = tmp_path / "raw"
    write_images(folder)
    prepare("small", folder, tmp_path / "data")
    main(tmp_path / "result.json", dataset="small", epochs=1, data_dir=tmp_path / "data")
    result = json.loads((tmp_path / "result.json").read_text())
    assert 0 <= result["test_top1"] <= 1
    assert result["images_per_second"] > 0
    assert (result["dataset"], result["epochs"], result["seed"]) == ("small", 1, 0)


def write_images(folder):
    """Images of 32 pixels in ten classes; one batch to train on remains once a tenth is held out."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 2)):
        for k in range(10):
            (folder / split / str(k)).mkdir(parents=True)
            for i in range(count):
                image = Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8))
                image.save(folder / split / str(k) / f"{i}.png")
