"""Contents into TFDS records, without TensorFlow: encoded bytes in array_record files, in the order given."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxvision.data.contents import Contents, SplitContents
from jaxvision.data.progress import tracked

VERSION = "1.0.0"
SORTING_KEYS = 2**128


def write_records(contents: Contents, name: str, data_dir: Path) -> Path:
    """Write `contents` as the TFDS data set `name` below `data_dir`; returns its directory.

    Labels are stored once more, as `labels_<split>.npy`, to be had without reading the records.
    """
    import tensorflow_datasets as tfds

    features = {
        "image": tfds.features.Image(shape=contents.image_shape),
        "label": tfds.features.ClassLabel(names=list(contents.class_names)),
    }
    if any(split.file_names for split in contents.splits.values()):
        features["file_name"] = tfds.features.Text()

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(VERSION)

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
            )

        def _split_generators(self, download_manager):
            return {name: self._generate_examples(split) for name, split in contents.splits.items()}

        def _generate_examples(self, split):
            return _examples(split)

    Builder.name = name
    tfds.disable_progress_bar()
    builder = Builder(data_dir=data_dir, file_format="array_record")
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces itself
        builder.download_and_prepare(download_dir=data_dir / "downloads")
    directory = Path(builder.data_path)
    for split_name, split in contents.splits.items():
        np.save(directory / f"labels_{split_name}.npy", split.labels)
    return directory


def _examples(split: SplitContents) -> Iterator[tuple[int, dict]]:
    total = len(split.labels)
    for i, encoded in enumerate(tracked(split.images, "writing records", total)):
        example = {"image": encoded, "label": int(split.labels[i])}
        if split.file_names:
            example["file_name"] = split.file_names[i]
        # TFDS sorts bucket by bucket in memory: keys spread over all it knows fill its buckets evenly.
        yield i * (SORTING_KEYS // total), example
