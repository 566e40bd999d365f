import os
import subprocess
import sys

import numpy as np
import pytest

from jaxvision.data import load, loading, prepare
from jaxvision.errors import InputError


@pytest.fixture
def prepared(mnist_raw, tmp_path):
    root, arrays = mnist_raw
    return tmp_path / "data", prepare("mnist", root, tmp_path / "data"), arrays


def test_validation_is_a_stratified_part_of_train(prepared):
    data_dir, _, (images, _) = prepared[0], prepared[1], prepared[2]["train"]
    splits = load("mnist", data_dir, validation_fraction=0.25)
    assert splits.info.sizes == {"train": 30, "validation": 10, "test": 13}
    np.testing.assert_array_equal(np.bincount(splits.validation.labels), np.ones(10))
    every = np.concatenate([splits.train.resident()["image"], splits.validation.resident()["image"]])
    assert sorted(image.tobytes() for image in every) == sorted(image.tobytes() for image in images)


@pytest.mark.parametrize("fraction", [0.0, 0.01, 1.0, -0.1])
def test_impossible_validation_fractions(prepared, fraction):
    with pytest.raises(InputError, match="validation_fraction is"):
        load("mnist", prepared[0], validation_fraction=fraction)


def test_decoded_images_are_cached_and_a_damaged_cache_is_made_anew(prepared):
    data_dir, directory, _ = prepared
    expected = load("mnist", data_dir).train.resident()["image"]
    cache = directory / "decoded_train_28x28.npy"
    for damage in (b"", cache.read_bytes()[:500], b"nonsense"):
        cache.write_bytes(damage)
        np.testing.assert_array_equal(load("mnist", data_dir).train.resident()["image"], expected)
        assert np.load(cache).shape == (40, 28, 28, 1)
    assert not [path for path in directory.iterdir() if path.name.startswith(".")]


def test_a_directory_that_cannot_be_written_just_has_no_cache(prepared, monkeypatch):
    data_dir, directory, (images, _) = prepared[0], prepared[1], prepared[2]["test"]

    def full(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jaxvision.data.records.write_whole", full)
    test = load("mnist", data_dir).open_test(data_dir / "record.json", "0")
    np.testing.assert_array_equal(test.resident()["image"], images)
    assert not list(directory.glob("decoded*"))


def test_image_size_resizes_and_is_cached_apart(prepared):
    data_dir, directory, _ = prepared
    small = load("mnist", data_dir, image_size=(14, 20))
    assert small.info.image_shape == small.train.resident()["image"].shape[1:] == (14, 20, 1)
    assert load("mnist", data_dir).train.resident()["image"].shape[1:] == (28, 28, 1)
    assert len(list(directory.glob("decoded_train_*.npy"))) == 2


@pytest.mark.parametrize("streaming", [None, False])
def test_a_crop_of_ones_own_is_cached_nowhere(prepared, streaming):
    data_dir, directory, (images, _) = prepared[0], prepared[1], prepared[2]["test"]
    splits = load("mnist", data_dir, image_size=(9, 4), crop=lambda image: image[3:12, :4], streaming=streaming)
    assert splits.info.image_shape == (9, 4, 1)
    assert (splits.train.resident() is None) == (streaming is None)
    test = splits.open_test(data_dir / "record.json", "0")
    np.testing.assert_array_equal(test.gather(np.arange(13))["image"], images[:, 3:12, :4])
    assert not list(directory.glob("decoded*"))
    with pytest.raises(InputError, match="crop: expected the image_size"):
        load("mnist", data_dir, crop=lambda image: image)


@pytest.mark.parametrize("image_size", [(0, 5), (32,)])
def test_impossible_image_sizes(prepared, image_size):
    with pytest.raises(InputError, match="image_size is"):
        load("mnist", prepared[0], image_size=image_size)


def test_large_sets_stream(prepared, monkeypatch):
    monkeypatch.setattr(loading, "IN_MEMORY_BYTES", 40 * 28 * 28)
    assert load("mnist", prepared[0]).train.resident() is not None
    monkeypatch.setattr(loading, "IN_MEMORY_BYTES", 40 * 28 * 28 - 1)
    assert load("mnist", prepared[0]).train.resident() is None


def test_what_is_not_prepared_is_told_with_what_is(prepared):
    with pytest.raises(InputError, match=r"mnits: not prepared in .*mnits \(there is mnist\)\. Run: "):
        load("mnits", prepared[0])


def test_what_is_not_prepared_is_told_how(tmp_path):
    command = "scripts/run scripts/prepare_data.py mnist --raw PATH --data-dir '.*no such dir' "
    with pytest.raises(InputError, match=rf"mnist: not prepared in .*{command}.*without --raw it downloads"):
        load("mnist", tmp_path / "no such dir")
    with pytest.raises(InputError, match=r"birds --raw PATH .*an image folder or archive"):
        load("birds", tmp_path)


def test_images_of_several_sizes_need_an_image_size(class_folders, tmp_path):
    rng = np.random.default_rng(0)
    files = {f"{name}/{i}.png": rng.integers(0, 256, (8 + i, 9, 3), np.uint8) for name in "ab" for i in range(6)}
    prepare("birds", class_folders(files), tmp_path / "data")
    with pytest.raises(InputError, match="birds: images have several sizes; image_size"):
        load("birds", tmp_path / "data")
    splits = load("birds", tmp_path / "data", image_size=(8, 9))
    assert splits.info.class_names == ("a", "b") and splits.train.resident()["image"].shape == (10, 8, 9, 3)


def test_a_folder_to_evaluate_on_needs_no_training_images(class_folders, tmp_path):
    grey = np.full((4, 5), 7, np.uint8)
    root = class_folders({f"val/{name}/1.png": grey for name in ("cat", "dog")})
    prepare("pets", root, tmp_path / "data")
    with pytest.raises(InputError, match=r"pets: prepared without training images; delete .*pets"):
        load("pets", tmp_path / "data")
    splits = load("pets", tmp_path / "data", only_test=True)
    assert (splits.train, splits.validation, splits.info.class_names) == (None, None, ("cat", "dog"))
    test = splits.open_test(tmp_path / "opened.json", "a" * 64)
    np.testing.assert_array_equal(test.resident()["label"], [0, 1])
    assert splits.info.sizes == {"test": 2}


def test_digits_need_no_preparation(tmp_path):
    from sklearn.datasets import load_digits

    splits = load("digits", tmp_path)
    assert splits.info.sizes == {"train": 1293, "validation": 144, "test": 360}
    test = splits.open_test(tmp_path / "record.json", "0")
    every = np.concatenate([part.resident()["image"] for part in (splits.train, splits.validation, test)])
    labels = np.concatenate([part.labels for part in (splits.train, splits.validation, test)])
    digits = load_digits()
    found = sorted((label, *image.ravel()) for label, image in zip(labels, np.round(every * (16 / 255))))
    assert found == sorted((label, *image.ravel()) for label, image in zip(digits.target, digits.images))
    assert (np.abs(np.bincount(test.labels) - np.bincount(digits.target) * 360 / 1797) <= 1).all()


def test_loading_imports_neither_frameworks_nor_tfds(prepared):
    load("mnist", prepared[0])
    code = f"""
import sys
import jaxvision.data
jaxvision.data.load("mnist", {str(prepared[0])!r})
heavy = ("jax", "flax", "tensorflow", "torch", "tensorflow_datasets", "sklearn")
print([name for name in heavy if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert run.stdout.strip() == "[]"


def test_preparing_imports_neither_frameworks_nor_grain(mnist_raw, tmp_path):
    code = f"""
import sys
import jaxvision.data
jaxvision.data.prepare("mnist", {str(mnist_raw[0])!r}, {str(tmp_path / "data")!r})
jaxvision.data.load("mnist", {str(tmp_path / "data")!r})
print([name for name in ("jax", "flax", "tensorflow", "torch", "grain") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert run.stdout.strip() == "[]"
