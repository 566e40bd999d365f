"""What is known of a prepared data set without opening its records or importing TFDS (a second)."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from jaxvision.data.contents import Contents
from jaxvision.errors import InputError

FILE_NAME = "dataset_summary.json"


@dataclass(frozen=True)
class Summary:
    """`image_shape` has None for H and W where images differ; `skipped` names corrupt images left out."""

    image_shape: tuple[int | None, int | None, int]
    class_names: tuple[str, ...]
    sizes: dict[str, int]
    skipped: tuple[str, ...]


def summarise(contents: Contents) -> Summary:
    sizes = {name: len(split.labels) for name, split in contents.splits.items()}
    return Summary(contents.image_shape, contents.class_names, sizes, contents.skipped)


def write_summary(summary: Summary, directory: Path) -> None:
    (directory / FILE_NAME).write_text(json.dumps(asdict(summary), indent=1))


def read_summary(directory: Path) -> Summary:
    path = directory / FILE_NAME
    try:
        fields = json.loads(path.read_bytes())
        return Summary(
            tuple(fields["image_shape"]),
            tuple(fields["class_names"]),
            fields["sizes"],
            tuple(fields["skipped"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged; remove {directory} and prepare the data set again") from error
