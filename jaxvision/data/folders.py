"""Folders of images, one per class, with or without `train`, `val` and `test` folders above them."""

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jaxvision.data.contents import Contents, SplitContents
from jaxvision.data.stratify import stratified_cut
from jaxvision.errors import InputError
from jaxvision.progress import tracked

SPLIT_FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
HELD_OUT_FRACTION = 0.1
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "WEBP")
GREY_MODES = {"1", "L", "LA"}
COLOUR_MODES = {"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
INSPECTED_AT_A_TIME = 64


@dataclass(frozen=True)
class ImageFile:
    """An image that decodes: its label, its (H, W) and whether it is grey."""

    path: Path
    label: int
    size: tuple[int, int]
    grey: bool


def read_folder(root: Path, on_bad_image: str) -> Contents:
    """An image folder of either layout.

    `train|val|validation|test/<class>/*`: as `read_split_folders`. `<class>/*`: a fixed stratified split,
    80 % train and 10 % each validation and test.
    """
    if set(SPLIT_FOLDERS) & {path.name for path in _folders(root)}:
        return read_split_folders(root, on_bad_image)
    class_names, listed = _listed(root)
    images, skipped = _inspected(root, listed, on_bad_image)
    held_out = round(HELD_OUT_FRACTION * len(images))
    if held_out == 0:
        raise InputError(f"{root}: {len(images)} images, too few for a train, a validation and a test split")
    labels = np.array([image.label for image in images])
    cut = stratified_cut(labels, [len(images) - 2 * held_out, held_out, held_out])
    splits = {name: [images[i] for i in part] for name, part in zip(("train", "validation", "test"), cut)}
    return _contents(root, class_names, splits, skipped)


def read_split_folders(
    root: Path,
    on_bad_image: str,
    *,
    class_names: tuple[str, ...] | None = None,
    image_shape: tuple[int, int, int] | None = None,
) -> Contents:
    """`train/<class>/*` with `test` or `val` (`validation`) or both beside it; or one of these two alone.

    Without a test folder the validation folder becomes the test split, as the usage is with ImageNet; without train
    there is nothing but this split, to evaluate on. Labels count the class folders of train, or of what is alone,
    in sorted order, or `class_names`; `image_shape` asks for that one shape.
    """
    folders = {}
    for folder in _folders(root):
        split = SPLIT_FOLDERS.get(folder.name)
        if split is None or split in folders:
            raise InputError(
                f"{folder}: unexpected beside split folders; expected train, val (or validation), test"
            )
        folders[split] = folder
    if ("train" in folders) == (len(folders) == 1):
        raise InputError(
            f"{root}: has {', '.join(sorted(folders))}; expected train and a test or val folder, or one of these "
            "two alone"
        )
    if "test" not in folders:
        folders["test"] = folders.pop("validation")

    splits, skipped = {}, []
    class_names = class_names or _listed(folders.get("train", folders["test"]))[0]
    for split, folder in folders.items():
        splits[split], bad = _inspected(root, _listed(folder, class_names)[1], on_bad_image)
        skipped += bad
    contents = _contents(root, class_names, splits, skipped)
    if image_shape is None:
        return contents
    _check_size(splits, image_shape[:2])
    return replace(contents, image_shape=image_shape)  # colour, even should all images be grey


def descend(root: Path) -> Path:
    """`root`, or where all it holds is one folder, as in most archives, that folder."""
    while True:
        visible = _visible(root)
        if len(visible) != 1 or not visible[0].is_dir() or visible[0].name in SPLIT_FOLDERS:
            return root
        root = visible[0]


def _visible(folder: Path) -> list[Path]:
    """What the folder holds, sorted by name, without what file managers leave there."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))


def _folders(root: Path) -> list[Path]:
    return [path for path in _visible(root) if path.is_dir()]


def _files_below(folder: Path) -> Iterator[Path]:
    for path in _visible(folder):
        if path.is_dir():
            yield from _files_below(path)
        else:
            yield path


def _listed(
    folder: Path, class_names: tuple[str, ...] | None = None
) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """Class names, and every file below its class folder with its label."""
    class_folders = _folders(folder)
    class_names = class_names or tuple(path.name for path in class_folders)
    if len(class_names) < 2:
        raise InputError(f"{folder}: {len(class_names)} class folders, expected at least 2 folders of images")
    labels = {name: label for label, name in enumerate(class_names)}
    listed = []
    for class_folder in class_folders:
        if class_folder.name not in labels:
            raise InputError(
                f"{class_folder}: not a class of the training split ({', '.join(class_names[:5])} ...)"
            )
        listed += [(path, labels[class_folder.name]) for path in _files_below(class_folder)]
    return class_names, listed


def _inspected(root: Path, listed: list[tuple[Path, int]], on_bad_image: str) -> tuple[list[ImageFile], list[str]]:
    """The images that decode, in order, and the names of those that do not where these are to be skipped."""
    images, skipped = [], []
    for path, label, found in tracked(_inspections(listed), "checking images", len(listed)):
        if not isinstance(found, str):
            images.append(ImageFile(path, label, *found))
        elif on_bad_image == "skip":
            skipped.append(path.relative_to(root).as_posix())
        else:
            raise InputError(f"{path}: {found} (--on-bad-image skip leaves such files out)")
    return images, skipped


def _inspections(listed: list[tuple[Path, int]]) -> Iterator[tuple[Path, int, tuple | str]]:
    def inspect_some(start: int) -> list:
        return [(path, label, inspect(path)) for path, label in listed[start : start + INSPECTED_AT_A_TIME]]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for results in pool.map(inspect_some, range(0, len(listed), INSPECTED_AT_A_TIME)):
                yield from results
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def inspect(path: Path) -> tuple[tuple[int, int], bool] | str:
    """(H, W) and whether it is grey, or in words why it is no image of 8 bits a channel that decodes."""
    from PIL import Image

    encoded = path.read_bytes()
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            image.load()
            (width, height), mode = image.size, image.mode
    except Image.UnidentifiedImageError:
        return f"not an image; expected one of {', '.join(FORMATS)}"
    except Exception as error:  # PIL's decoders raise whatever comes up, from SyntaxError to struct.error
        return f"corrupt image ({error})"
    if mode not in GREY_MODES | COLOUR_MODES:
        return f"image of mode {mode}; expected 8 bits a channel"
    return (height, width), mode in GREY_MODES


def _check_size(splits: dict[str, list[ImageFile]], size: tuple[int, int]) -> None:
    for image in (image for images in splits.values() for image in images):
        if image.size != size:
            raise InputError(f"{image.path}: image of {image.size}, expected {size}")


def _contents(
    root: Path, class_names: tuple[str, ...], splits: dict[str, list[ImageFile]], skipped: list[str]
) -> Contents:
    for split, images in splits.items():
        if not images:
            raise InputError(f"{root}: the {split} split holds no image")
    every = [image for images in splits.values() for image in images]
    sizes = {image.size for image in every}
    height, width = sizes.pop() if len(sizes) == 1 else (None, None)
    channels = 1 if all(image.grey for image in every) else 3
    written = {split: _split_contents(root, images) for split, images in splits.items()}
    return Contents((height, width, channels), class_names, written, tuple(skipped))


def _split_contents(root: Path, images: list[ImageFile]) -> SplitContents:
    return SplitContents(
        np.array([image.label for image in images], np.int32),
        (image.path.read_bytes() for image in images),
        tuple(image.path.relative_to(root).as_posix() for image in images),
    )
