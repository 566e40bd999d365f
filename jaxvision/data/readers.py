"""Raw files as their publishers format them: IDX (MNIST, Fashion-MNIST) and the binary version of CIFAR."""

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxvision.data.contents import Contents, SplitContents
from jaxvision.errors import InputError

IDX_FILES = {"train": "train", "test": "t10k"}
CIFAR_SHAPE = (32, 32, 3)


def read_idx_pairs(root: Path, image_shape: tuple[int, int, int], class_names: tuple[str, ...]) -> Contents:
    """The four IDX files of MNIST under their publisher's names, each gzipped or plain."""
    splits = {}
    for split, prefix in IDX_FILES.items():
        image_path = _gzipped_or_plain(root, f"{prefix}-images-idx3-ubyte")
        label_path = _gzipped_or_plain(root, f"{prefix}-labels-idx1-ubyte")
        images, labels = read_idx(image_path, 3), read_idx(label_path, 1)
        if images.shape[1:] != image_shape[:2]:
            raise InputError(f"{image_path}: images are {images.shape[1:]}, expected {image_shape[:2]}")
        if len(images) != len(labels):
            raise InputError(
                f"{label_path}: {len(labels)} labels, expected {len(images)} as {image_path.name} has images"
            )
        check_labels(label_path, labels, class_names)
        splits[split] = from_arrays(images[..., None], labels)
    return Contents(image_shape, class_names, splits)


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """An IDX file of unsigned bytes of this many dimensions: magic number, sizes (big-endian), values."""
    content = _unzipped(path)
    header_bytes = 4 * (1 + dimensions)
    if len(content) < header_bytes:
        raise InputError(f"{path}: {len(content)} bytes, expected an IDX header of {header_bytes}")
    magic, *sizes = struct.unpack(f">{1 + dimensions}I", content[:header_bytes])
    expected_magic = 0x0800 + dimensions
    if magic != expected_magic:
        raise InputError(
            f"{path}: magic number 0x{magic:08x}, expected 0x{expected_magic:08x} (IDX, unsigned bytes)"
        )
    if len(content) - header_bytes != int(np.prod(sizes, dtype=object)):
        raise InputError(
            f"{path}: {len(content) - header_bytes} values, its header says {'x'.join(map(str, sizes))}"
        )
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(sizes)


def read_cifar(
    root: Path, files: dict[str, tuple[str, ...]], label_bytes: int, class_names: tuple[str, ...]
) -> Contents:
    """CIFAR's binary version: records of `label_bytes` labels (the last one counts) and 3x32x32 pixels."""
    splits = {}
    for split, names in files.items():
        parts = [read_cifar_file(root / name, label_bytes, class_names) for name in names]
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts))
        splits[split] = from_arrays(images, labels)
    return Contents(CIFAR_SHAPE, class_names, splits)


def read_cifar_file(path: Path, label_bytes: int, class_names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N,32,32,3] and labels uint8 [N]."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a file of CIFAR's binary version")
    content = np.frombuffer(path.read_bytes(), np.uint8)
    record_bytes = label_bytes + 3 * 32 * 32
    if len(content) == 0 or len(content) % record_bytes:
        raise InputError(f"{path}: {len(content)} bytes, expected whole records of {record_bytes}")
    records = content.reshape(-1, record_bytes)
    labels = records[:, label_bytes - 1]
    check_labels(path, labels, class_names)
    return records[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


def check_labels(path: Path, labels: np.ndarray, class_names: tuple[str, ...]) -> None:
    if len(labels) == 0:
        raise InputError(f"{path}: holds no example")
    if labels.max() >= len(class_names):
        raise InputError(f"{path}: label {labels.max()}, expected 0 to {len(class_names) - 1}")


def from_arrays(images: np.ndarray, labels: np.ndarray) -> SplitContents:
    """Contents of images uint8 [N,H,W,C], encoded as PNG."""
    return SplitContents(labels.astype(np.int32), _pngs(images))


def _pngs(images: np.ndarray) -> Iterator[bytes]:
    from PIL import Image

    for image in images:
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
        yield file.getvalue()


def _gzipped_or_plain(root: Path, name: str) -> Path:
    for path in (root / f"{name}.gz", root / name):
        if path.is_file():
            return path
    raise InputError(f"{root}: has no {name}.gz and no {name}")


def _unzipped(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: not a complete gzip file ({error})") from error
