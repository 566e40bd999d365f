"""`load`: a prepared data set as training, validation and test splits."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxvision.data.catalog import BUILT_IN
from jaxvision.data.dataset import Dataset
from jaxvision.data.fake import fake as fake_splits
from jaxvision.data.memory import InMemory
from jaxvision.data.preparation import is_prepared, prepare, prepared_directory
from jaxvision.data.records import Crop, Records, labels_of
from jaxvision.data.splits import DatasetInfo, Splits
from jaxvision.data.stratify import stratified_cut
from jaxvision.data.stream import Streaming
from jaxvision.data.summary import Summary, read_summary
from jaxvision.errors import InputError

IN_MEMORY_BYTES = 2 << 30


def load(
    name: str,
    data_dir: Path | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    crop: Crop | None = None,
    fake: bool = False,
    streaming: bool | None = None,
    validation_fraction: float = 0.1,
    only_test: bool = False,
) -> Splits:
    """The splits of a prepared data set; `digits` prepares itself.

    `image_size` (H, W): images of another size are scaled until they just cover it and cut to their centre.
    `crop`: makes images of `image_size`, uint8, of whole ones, uint8 [H, W, C], in place of that scaling; such as
    `ImagePreprocess.crop_image`, for the pixels that published weights expect.
    `fake`: small made-up data of the same shape and classes, for which nothing need be prepared; not cropped.
    `streaming`: decode from disk while training; None does so when the largest split exceeds 2 GiB, and with a
    `crop`, of which nothing is cached.
    `validation_fraction`: the part of train, stratified and the same in every run, that becomes the
    validation split where none was prepared.
    `only_test`: train and validation are None, and need not have been prepared.

    InputError when the data set is not prepared (with the command that does it), has images of several sizes and
    no `image_size` is given, or has no training images.
    """
    if image_size is not None and (len(image_size) != 2 or min(image_size) < 1):
        raise InputError(f"image_size is {image_size}; expected height and width of at least 1")
    if crop is not None and image_size is None:
        raise InputError("crop: expected the image_size that it gives, too")
    if fake:
        splits = fake_splits(name, image_size=image_size)
        return replace(splits, train=None, validation=None) if only_test else splits
    directory = _prepared(name, data_dir)
    summary = read_summary(directory)
    shape = _delivered_shape(name, summary, image_size)
    if "train" not in summary.sizes and not only_test:
        raise InputError(
            f"{name}: prepared without training images; delete {directory} and prepare it from a folder that has "
            "train and val, or train and test"
        )
    if streaming is None:
        most = max(summary.sizes.values())
        streaming = crop is not None or most * int(np.prod(shape, dtype=np.int64)) > IN_MEMORY_BYTES

    def dataset(split: str) -> Dataset:
        records, labels = Records(directory, split, shape, crop), labels_of(directory, split)
        return Streaming(records, labels) if streaming else InMemory(records.all_images(), labels)

    if only_test:
        sizes = {"test": summary.sizes["test"]}
        info = DatasetInfo(name, shape, summary.class_names, sizes)
        return Splits(info, None, None, lambda: dataset("test"))
    train = dataset("train")
    if "validation" in summary.sizes:
        validation = dataset("validation")
    else:
        train, validation = _hold_out(train, validation_fraction)
    sizes = {"train": len(train), "validation": len(validation), "test": summary.sizes["test"]}
    return Splits(DatasetInfo(name, shape, summary.class_names, sizes), train, validation, lambda: dataset("test"))


def _prepared(name: str, data_dir: Path | None) -> Path:
    directory = prepared_directory(name, data_dir)
    if is_prepared(directory):
        return directory
    if name == "digits":
        return prepare(name, data_dir=data_dir)
    command = f"scripts/run scripts/prepare_data.py {name} --raw PATH"
    if data_dir:
        command += f" --data-dir {shlex.quote(str(data_dir))}"
    without_raw = "; without --raw it downloads the files" if name in BUILT_IN else ", an image folder or archive"
    versions = directory.parents[1].glob(f"*/{directory.name}")
    others = sorted(version.parent.name for version in versions if is_prepared(version))
    there = f" (there is {', '.join(others)})" if others else ""
    raise InputError(
        f"{name}: not prepared in {directory.parent}{there}. Run: {command} (PATH: the raw files{without_raw})"
    )


def _delivered_shape(name: str, summary: Summary, image_size: tuple[int, int] | None) -> tuple[int, int, int]:
    height, width, channels = summary.image_shape
    if image_size is not None:
        height, width = image_size
    if height is None:
        raise InputError(
            f"{name}: images have several sizes; image_size (height and width) is needed to batch them"
        )
    return height, width, channels


def _hold_out(train: Dataset, fraction: float) -> tuple[Dataset, Dataset]:
    """Train without the examples held out, and those."""
    held_out = round(fraction * len(train))
    if not 0 < held_out < len(train):
        raise InputError(
            f"validation_fraction is {fraction}, {held_out} of {len(train)} training examples; "
            "expected at least one, and one left for training"
        )
    kept, held = stratified_cut(train.labels, [len(train) - held_out, held_out])
    return train.take(kept), train.take(held)
