import io
import tarfile

import numpy as np
import pytest

from jaxvision.data import default_data_dir, load, prepare
from jaxvision.errors import InputError

RNG = np.random.default_rng(0)


def everything_below(path):
    return sorted(str(found.relative_to(path)) for found in path.rglob("*"))


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_mnist_comes_back_pixel_by_pixel_in_its_order(mnist_raw, tmp_path, name):
    root, arrays = mnist_raw
    directory = prepare(name, root, tmp_path / "data")
    assert directory == tmp_path / "data" / name / "1.0.0"
    test = load(name, tmp_path / "data").open_test(tmp_path / "record", "0")
    np.testing.assert_array_equal(test.resident()["image"], arrays["test"][0])
    np.testing.assert_array_equal(test.labels, arrays["test"][1])
    assert everything_below(tmp_path / "data")[:2] == [name, f"{name}/1.0.0"]


def cifar_records(labels, images):
    return np.concatenate([labels, images.transpose(0, 3, 1, 2).reshape(len(images), -1)], 1).tobytes()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("name", "label_bytes"), [("cifar10", 1), ("cifar100", 2)])
def test_cifar_binaries(tmp_path, name, label_bytes, packed):
    images = RNG.integers(0, 256, (60, 32, 32, 3), np.uint8)
    labels = RNG.integers(0, 10, (60, label_bytes), np.uint8)
    batches = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    if name == "cifar100":
        batches, starts = ["train.bin", "test.bin"], [0, 50, 60]
    else:
        starts = range(0, 70, 10)
    files = {
        f"{name}-binary/{batch}": cifar_records(labels[start:stop], images[start:stop])
        for batch, start, stop in zip(batches, starts, starts[1:])
    }
    raw = tmp_path / "raw.tar.gz" if packed else tmp_path / "raw"
    if packed:
        with tarfile.open(raw, "w:gz") as tar:
            for path, content in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    else:
        for path, content in files.items():
            (raw / path).parent.mkdir(parents=True, exist_ok=True)
            (raw / path).write_bytes(content)
    prepare(name, raw, tmp_path / "data")
    splits = load(name, tmp_path / "data")
    test = splits.open_test(tmp_path / "record", "0")
    np.testing.assert_array_equal(test.resident()["image"], images[50:])
    np.testing.assert_array_equal(test.labels, labels[50:, -1])
    train = np.concatenate([splits.train.resident()["image"], splits.validation.resident()["image"]])
    assert sorted(image.tobytes() for image in train) == sorted(image.tobytes() for image in images[:50])


def test_cifar_as_folders_keeps_the_publishers_labels(class_folders, tmp_path):
    files = {
        f"{split}/{name}/{i}.png": RNG.integers(0, 256, (32, 32, 3), np.uint8)
        for split in ("train", "test")
        for name in ("ship", "cat")
        for i in range(2)
    }
    prepare("cifar10", class_folders(files), tmp_path / "data")
    test = load("cifar10", tmp_path / "data", validation_fraction=0.25).open_test(tmp_path / "record", "0")
    np.testing.assert_array_equal(test.labels, [3, 3, 8, 8])
    np.testing.assert_array_equal(test.resident()["image"][3], files["test/ship/1.png"])


def test_order_holds_across_shards(mnist_raw, tmp_path, monkeypatch):
    root, arrays = mnist_raw
    monkeypatch.setattr("jaxvision.data.writer.EXAMPLES_PER_SHARD", 4)
    directory = prepare("mnist", root, tmp_path / "data")
    assert len(list(directory.glob("*test.array_record*"))) == 4
    test = load("mnist", tmp_path / "data").open_test(tmp_path / "record", "0")
    np.testing.assert_array_equal(test.resident()["image"], arrays["test"][0])


def test_a_prepared_set_is_left_as_it_is(mnist_raw, tmp_path):
    directory = prepare("mnist", mnist_raw[0], tmp_path / "data")
    before = {path: path.stat().st_mtime_ns for path in directory.rglob("*")}
    assert prepare("mnist", tmp_path / "nowhere", tmp_path / "data") == directory
    assert {path: path.stat().st_mtime_ns for path in directory.rglob("*")} == before


def test_skipped_images_are_counted(class_folders, tmp_path):
    files = {f"{name}/{i}.png": RNG.integers(0, 256, (8, 8), np.uint8) for name in "ab" for i in range(6)}
    root = class_folders(files | {"a/9.png": b"no image"})
    with pytest.raises(InputError, match=r"a/9\.png: not an image"):
        prepare("birds", root, tmp_path / "data")
    assert everything_below(tmp_path / "data") == []
    prepare("birds", root, tmp_path / "data", on_bad_image="skip")
    assert sum(load("birds", tmp_path / "data").info.sizes.values()) == 12


def test_errors_name_the_archive_not_where_it_was_unpacked(tmp_path):
    with tarfile.open(tmp_path / "birds.tar", "w") as tar:
        for path in ("train/a/x", "train/b/x", "test/a/x"):
            tar.addfile(tarfile.TarInfo(path))
    with pytest.raises(InputError) as caught:
        prepare("birds", tmp_path / "birds.tar", tmp_path / "data")
    assert str(caught.value).startswith(f"{tmp_path}/birds.tar/test/a/x: not an image")


@pytest.mark.parametrize("where", ["write_records", "write_summary", "os.rename"])
def test_a_failure_leaves_nothing_behind(mnist_raw, tmp_path, monkeypatch, where):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"jaxvision.data.preparation.{where}", fail)
    with pytest.raises(InputError, match=r"mnist cannot be prepared in .*No space left on device"):
        prepare("mnist", mnist_raw[0], tmp_path / "data")
    assert not [path for path in everything_below(tmp_path / "data") if path != "mnist"]


def test_an_interrupt_while_writing_leaves_nothing_behind(mnist_raw, tmp_path, monkeypatch):
    def interrupted(images):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxvision.data.readers._pngs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare("mnist", mnist_raw[0], tmp_path / "data")
    assert everything_below(tmp_path / "data") == []


def test_another_process_may_be_faster(mnist_raw, tmp_path, monkeypatch):
    root, _ = mnist_raw

    def meanwhile(summary, directory):
        monkeypatch.undo()
        prepare("mnist", root, tmp_path / "data")

    monkeypatch.setattr("jaxvision.data.preparation.write_summary", meanwhile)
    prepare("mnist", root, tmp_path / "data")
    assert load("mnist", tmp_path / "data").info.sizes["test"] == 13
    assert not list((tmp_path / "data").glob(".*"))


def test_a_foreign_directory_is_not_touched(mnist_raw, tmp_path):
    (tmp_path / "data" / "mnist" / "1.0.0").mkdir(parents=True)
    with pytest.raises(InputError, match="exists but was not prepared by jaxvision"):
        prepare("mnist", mnist_raw[0], tmp_path / "data")


@pytest.mark.parametrize("name", ["../evil", "Birds", "", "a/b", "1st"])
def test_impossible_names(tmp_path, name):
    with pytest.raises(InputError, match="not a data set name"):
        prepare(name, tmp_path, tmp_path / "data")


def test_an_image_folder_needs_its_raw_files(tmp_path):
    with pytest.raises(InputError, match=r"birds: not built in .* expected its --raw PATH"):
        prepare("birds", data_dir=tmp_path)


def test_the_default_directory_is_the_environments(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXVISION_DATA", str(tmp_path))
    assert default_data_dir() == tmp_path
    monkeypatch.delenv("JAXVISION_DATA")
    assert default_data_dir().name == "jaxvision_data"
