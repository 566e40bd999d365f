"""Contents into a TFDS data set of array_record files, without TensorFlow: encoded bytes, in the order given.

Written by TFDS' sequential writer: its builders need TensorFlow to sort more than a gigabyte.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxvision.data.contents import Contents, SplitContents
from jaxvision.progress import tracked

VERSION = "1.0.0"
EXAMPLES_PER_SHARD = 10_000


def write_records(contents: Contents, name: str, directory: Path) -> None:
    """Write `contents` as the TFDS data set `name` into the empty `directory`.

    Labels are stored once more, as `labels_<split>.npy`, to be had without reading the records. OSError where the
    directory cannot be written.
    """
    import tensorflow_datasets as tfds

    features = {
        "image": tfds.features.Image(shape=contents.image_shape),
        "label": tfds.features.ClassLabel(names=list(contents.class_names)),
    }
    if any(split.file_names for split in contents.splits.values()):
        features["file_name"] = tfds.features.Text()
    identity = tfds.core.DatasetIdentity(
        name=name, version=tfds.core.Version(VERSION), data_dir=str(directory), module_name=__name__
    )
    info = tfds.core.DatasetInfo(builder=identity, features=tfds.features.FeaturesDict(features))
    writer = tfds.core.SequentialWriter(info, EXAMPLES_PER_SHARD, file_format="array_record")
    writer.initialize_splits(list(contents.splits))
    for split_name, split in contents.splits.items():
        np.save(directory / f"labels_{split_name}.npy", split.labels)
    try:
        for split_name, split in contents.splits.items():
            writer.add_examples({split_name: _examples(split)})
        writer.close_all()
    except RuntimeError as error:  # array_record's word for a full disk
        raise OSError(error) from error


def _examples(split: SplitContents) -> Iterator[dict]:
    for i, encoded in enumerate(tracked(split.images, "writing records", len(split.labels))):
        example = {"image": encoded, "label": int(split.labels[i])}
        if split.file_names:
            example["file_name"] = split.file_names[i]
        yield example
