"""Small raw data sets, in the formats of their publishers."""

import gzip
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def image_bytes(array: np.ndarray, file_format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, file_format)
    return file.getvalue()


@pytest.fixture
def idx():
    return idx_bytes


@pytest.fixture
def encoded():
    return image_bytes


@pytest.fixture
def mnist_raw(tmp_path):
    """A directory of the four IDX files (two gzipped, two plain) and {"train" | "test": (images, labels)}."""
    root, rng, arrays = tmp_path / "mnist_raw", np.random.default_rng(0), {}
    root.mkdir()
    for split, prefix, size in (("train", "train", 40), ("test", "t10k", 13)):
        images = rng.integers(0, 256, (size, 28, 28), np.uint8)
        labels = (np.arange(size) % 10).astype(np.uint8)
        (root / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
        (root / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
        arrays[split] = images[..., None], labels
    return root, arrays


@pytest.fixture
def class_folders(tmp_path):
    """A function that writes {"path/in/folder.png": array} (or bytes) below a directory."""

    def write(files: dict[str, np.ndarray | bytes], name: str = "folder") -> Path:
        for path, content in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else image_bytes(content))
        return tmp_path / name

    return write
