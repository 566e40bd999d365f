"""From raw files to a prepared data set: `data_dir/<name>/1.0.0/` appears complete or not at all."""

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from jaxvision.data.archives import unpacked
from jaxvision.data.catalog import BUILT_IN
from jaxvision.data.contents import Contents
from jaxvision.data.download import DOWNLOADS, download
from jaxvision.data.folders import descend, read_folder
from jaxvision.data.summary import FILE_NAME, summarise, write_summary
from jaxvision.data.writer import VERSION, write_records
from jaxvision.errors import InputError


def prepare(name: str, raw: Path | None = None, data_dir: Path | None = None, on_bad_image: str = "error") -> Path:
    """Prepare a data set, unless that is done already; returns its directory.

    A built-in name reads its publisher's files from `raw` (a directory or an archive) or downloads them; any
    other name is an image folder, for which `raw` is required. `on_bad_image` "skip" leaves corrupt images
    out, "error" refuses them. InputError where files are not what they should be, or cannot be read, fetched
    or written.
    """
    directory = prepared_directory(name, data_dir)
    if is_prepared(directory):
        return directory
    if on_bad_image not in ("error", "skip"):
        raise InputError(f"on_bad_image is {on_bad_image!r}; expected error or skip")
    if name not in BUILT_IN and raw is None:
        raise InputError(
            f"{name}: not built in ({', '.join(BUILT_IN)}), so an image folder; expected its --raw PATH"
        )
    if directory.exists() and not is_prepared(directory):  # asked again: another process may be just done
        raise InputError(f"{directory}: exists but was not prepared by jaxvision; move it away")
    try:
        data_root = directory.parent.parent
        data_root.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".preparing_{name}_", dir=data_root) as workspace:
            _prepare_in(Path(workspace), name, raw, on_bad_image, directory)
    except OSError as error:
        raise InputError(f"{name} cannot be prepared in {directory}: {error}") from error
    return directory


def default_data_dir() -> Path:
    """The environment's JAXVISION_DATA, else ~/jaxvision_data."""
    return Path(os.environ.get("JAXVISION_DATA") or Path.home() / "jaxvision_data")


def prepared_directory(name: str, data_dir: Path | None) -> Path:
    """Where the data set is, once prepared. InputError for a name that cannot be a directory's."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InputError(f"{name!r}: not a data set name; expected lower-case letters, digits and underscores")
    return Path(data_dir or default_data_dir()).expanduser() / name / VERSION


def is_prepared(directory: Path) -> bool:
    return (directory / FILE_NAME).is_file()


def _prepare_in(workspace: Path, name: str, raw: Path | None, on_bad_image: str, directory: Path) -> None:
    unpacked_to = workspace / "unpacked"
    try:
        contents = _read(name, _raw_directory(name, raw, workspace / "downloaded", unpacked_to), on_bad_image)
    except InputError as error:  # names files where they were unpacked, to be gone in a moment
        raise InputError(str(error).replace(str(unpacked_to), str(raw))) from error
    written = workspace / "prepared"
    written.mkdir()
    write_records(contents, name, written)
    write_summary(summarise(contents), written)
    directory.parent.mkdir(exist_ok=True)
    try:
        os.rename(written, directory)
    except OSError:
        if not is_prepared(directory):  # else another process was faster
            raise


def _raw_directory(name: str, raw: Path | None, downloaded_to: Path, unpacked_to: Path) -> Path | None:
    if raw is not None:
        return descend(unpacked(Path(raw).expanduser(), unpacked_to))
    if name not in DOWNLOADS:
        return None
    files = [download(source, downloaded_to) for source in DOWNLOADS[name]]
    return descend(unpacked(files[0], unpacked_to)) if len(files) == 1 else downloaded_to


def _read(name: str, root: Path | None, on_bad_image: str) -> Contents:
    if name in BUILT_IN:
        return BUILT_IN[name].read(root, on_bad_image)
    return read_folder(root, on_bad_image)
