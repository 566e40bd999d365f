"""The built-in data sets: what they hold, how their raw files are read, where their publishers keep them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxvision.data.contents import Contents
from jaxvision.data.folders import read_split_folders
from jaxvision.data.readers import from_arrays, read_cifar, read_idx_pairs
from jaxvision.data.stratify import stratified_cut

DIGITS = tuple("0123456789")
FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100_NAMES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
    can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
    lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
    pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
    seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
    telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CIFAR100 = tuple(CIFAR100_NAMES.split())

CIFAR10_FILES = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}
CIFAR100_FILES = {"train": ("train.bin",), "test": ("test.bin",)}
DIGITS_TEST_SIZE = 360


@dataclass(frozen=True)
class BuiltIn:
    """`read(root, on_bad_image)` reads raw files in the directory `root`, None for a set that needs none."""

    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    read: Callable[[Path | None, str], Contents]


def _read_digits(root: None, on_bad_image: str) -> Contents:
    """The 1,797 handwritten digits (Alpaydin and Kaynak 1998) of scikit-learn, 0..16 scaled to 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    train, test = stratified_cut(digits.target, [len(images) - DIGITS_TEST_SIZE, DIGITS_TEST_SIZE])
    splits = {
        "train": from_arrays(images[train], digits.target[train]),
        "test": from_arrays(images[test], digits.target[test]),
    }
    return Contents((8, 8, 1), DIGITS, splits)


def _idx(class_names: tuple[str, ...]) -> BuiltIn:
    def read(root: Path, on_bad_image: str) -> Contents:
        return read_idx_pairs(root, (28, 28, 1), class_names)

    return BuiltIn((28, 28, 1), class_names, read)


def _cifar(class_names: tuple[str, ...], files: dict[str, tuple[str, ...]], label_bytes: int) -> BuiltIn:
    """CIFAR in its binary version, or as folders `train|test/<class>/` of 32x32 images."""
    shape = (32, 32, 3)

    def read(root: Path, on_bad_image: str) -> Contents:
        if (root / "train").is_dir():
            return read_split_folders(root, on_bad_image, class_names=class_names, image_shape=shape)
        return read_cifar(root, files, label_bytes, class_names)

    return BuiltIn(shape, class_names, read)


BUILT_IN = {
    "digits": BuiltIn((8, 8, 1), DIGITS, _read_digits),
    "mnist": _idx(DIGITS),
    "fashion_mnist": _idx(FASHION),
    "cifar10": _cifar(CIFAR10, CIFAR10_FILES, label_bytes=1),
    "cifar100": _cifar(CIFAR100, CIFAR100_FILES, label_bytes=2),  # coarse label, then the fine one
}
