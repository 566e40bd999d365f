import gzip

import numpy as np
import pytest

from jaxvision.data.readers import read_cifar_file, read_idx, read_idx_pairs
from jaxvision.errors import InputError

DIGITS = tuple("0123456789")


def write(tmp_path, content, name="file"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_idx_values_keep_their_order(tmp_path, idx):
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(read_idx(write(tmp_path, idx(images)), 3), images)
    np.testing.assert_array_equal(read_idx(write(tmp_path, gzip.compress(idx(images)), "file.gz"), 3), images)


def test_idx_of_another_magic_number(tmp_path, idx):
    labels = write(tmp_path, idx(np.zeros(20)))
    with pytest.raises(InputError, match=r"file: magic number 0x00000801, expected 0x00000803"):
        read_idx(labels, 3)


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b"x"])
def test_idx_of_another_length_than_its_header_says(tmp_path, idx, change):
    with pytest.raises(InputError, match=r"file: (23|25) values, its header says 2x3x4"):
        read_idx(write(tmp_path, change(idx(np.zeros((2, 3, 4))))), 3)


def test_idx_without_a_header(tmp_path):
    with pytest.raises(InputError, match="3 bytes, expected an IDX header of 8"):
        read_idx(write(tmp_path, b"abc"), 1)


def test_huge_sizes_in_a_header_do_not_overflow(tmp_path):
    header = bytes.fromhex("00000803") + b"\xff\xff\xff\xff" * 3
    with pytest.raises(InputError, match="0 values, its header says 4294967295x"):
        read_idx(write(tmp_path, header), 3)


@pytest.mark.parametrize(
    "damage", [lambda gz: gz[:-9], lambda gz: b"nonsense", lambda gz: gz[:40] + b"\0" * 9 + gz[49:]]
)
def test_damaged_gzip(tmp_path, idx, damage):
    content = gzip.compress(idx(np.random.default_rng(0).integers(0, 256, 500)))
    with pytest.raises(InputError, match=r"labels\.gz: not a complete gzip file"):
        read_idx(write(tmp_path, damage(content), "labels.gz"), 1)


def test_mnist_with_fewer_labels_than_images(mnist_raw, idx):
    root, _ = mnist_raw
    write(root, idx(np.zeros(39)), "train-labels-idx1-ubyte")
    with pytest.raises(InputError, match=r"train-labels-idx1-ubyte: 39 labels, expected 40"):
        read_idx_pairs(root, (28, 28, 1), DIGITS)


def test_mnist_with_a_label_of_no_class(mnist_raw, idx):
    root, _ = mnist_raw
    write(root, idx(np.full(40, 10)), "train-labels-idx1-ubyte")
    with pytest.raises(InputError, match="label 10, expected 0 to 9"):
        read_idx_pairs(root, (28, 28, 1), DIGITS)


def test_mnist_of_another_size(mnist_raw):
    with pytest.raises(InputError, match=r"images are \(28, 28\), expected \(32, 32\)"):
        read_idx_pairs(mnist_raw[0], (32, 32, 1), DIGITS)


def test_mnist_without_one_of_its_files(mnist_raw):
    root, _ = mnist_raw
    (root / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"has no t10k-images-idx3-ubyte\.gz and no t10k-images-idx3-ubyte"):
        read_idx_pairs(root, (28, 28, 1), DIGITS)


@pytest.mark.parametrize("label_bytes", [1, 2])
def test_cifar_records(tmp_path, label_bytes):
    rng = np.random.default_rng(0)
    images, labels = (
        rng.integers(0, 256, (3, 32, 32, 3), np.uint8),
        np.array([[4, 7], [0, 1], [9, 2]], np.uint8),
    )
    planes = images.transpose(0, 3, 1, 2).reshape(3, -1)  # all red, all green, all blue
    content = np.concatenate([labels[:, 2 - label_bytes :], planes], 1).tobytes()
    found_images, found_labels = read_cifar_file(write(tmp_path, content), label_bytes, DIGITS)
    np.testing.assert_array_equal(found_images, images)
    np.testing.assert_array_equal(found_labels, [7, 1, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0" * 3072, "3072 bytes, expected whole records of 3073"),
        (b"", "0 bytes, expected whole records"),
        (b"\x0a" + b"\0" * 3072, "label 10, expected 0 to 9"),
    ],
)
def test_damaged_cifar_files(tmp_path, content, message):
    with pytest.raises(InputError, match=f"file: {message}"):
        read_cifar_file(write(tmp_path, content), 1, DIGITS)


def test_missing_cifar_file(tmp_path):
    with pytest.raises(InputError, match=r"data_batch_1\.bin: no such file"):
        read_cifar_file(tmp_path / "data_batch_1.bin", 1, DIGITS)
