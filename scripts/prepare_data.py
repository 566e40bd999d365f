"""Prepare a data set for training: read or download its raw files, verify them, write records.

Examples:
    scripts/run scripts/prepare_data.py mnist
    scripts/run scripts/prepare_data.py cifar10 --raw cifar-10-binary.tar.gz
    scripts/run scripts/prepare_data.py birds --raw photographs/birds --on-bad-image skip
"""

import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxvision.data import prepare
from jaxvision.data.preparation import is_prepared, prepared_directory
from jaxvision.data.summary import read_summary
from jaxvision.errors import InputError

PathFlag = Annotated[Path | None, tyro.conf.arg(metavar="PATH")]


def prepare_data(
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")],
    raw: PathFlag = None,
    data_dir: PathFlag = None,
    on_bad_image: Literal["error", "skip"] = "error",
) -> None:
    """Prepare a data set for training: read or download its raw files, verify them, write records.

    Args:
        name: digits, mnist, fashion_mnist, cifar10 or cifar100; any other name is that of an image folder.
        raw: The publisher's files, a folder <class>/*, the one that train|val|test/<class>/* are in, or an archive
            of them (.zip, .tar, .tar.gz, .tar.xz). Without it the files of a built-in data set are downloaded.
        data_dir: Where prepared data sets are kept, $JAXVISION_DATA or else ~/jaxvision_data.
        on_bad_image: What to do with an image of a folder that does not decode.
    """
    already = is_prepared(prepared_directory(name, data_dir))
    directory = prepare(name, raw, data_dir, on_bad_image)
    summary = read_summary(directory)
    sizes = ", ".join(f"{split} {size}" for split, size in summary.sizes.items())
    print(f"{name}: {'already prepared' if already else 'prepared'} in {directory} ({sizes})")
    if already and raw:
        print("to prepare it again from --raw, delete that directory first")
    elif summary.skipped:
        print(f"skipped {len(summary.skipped)} images that do not decode: {', '.join(summary.skipped)}")


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exit cleans up, a death does not
    try:
        tyro.cli(prepare_data)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: nothing was prepared", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
