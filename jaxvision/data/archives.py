"""Archives, unpacked member by member: none may lead outside of its directory, none may be a link."""

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from jaxvision.errors import InputError

DAMAGED = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)


def unpacked(raw: Path, directory: Path) -> Path:
    """`raw` itself where it is a directory; else the archive's members, unpacked into `directory`."""
    if raw.is_dir():
        return raw
    if not raw.exists():
        raise InputError(f"{raw}: no such file or directory")
    if tarfile.is_tarfile(raw):
        members = _tar_members(raw)
    elif zipfile.is_zipfile(raw):
        members = _zip_members(raw)
    else:
        raise InputError(f"{raw}: not a directory and not an archive; expected .zip, .tar, .tar.gz or .tar.xz")
    directory.mkdir(parents=True)
    try:
        for name, content in members:
            path = directory / _checked(raw, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)
    except DAMAGED as error:
        raise InputError(f"{raw}: damaged archive ({error})") from error
    return directory


def _checked(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise InputError(f"{archive}: member {name!r} leads outside of the archive; refused")
    return path


def _tar_members(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isdir():
                continue
            if not member.isfile():
                raise InputError(f"{archive}: member {member.name!r} is a link or a device; refused")
            yield member.name, tar.extractfile(member)


def _zip_members(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            if member.flag_bits & 0x1:
                raise InputError(f"{archive}: member {member.filename!r} is encrypted")
            if not member.is_dir():
                with file.open(member) as content:
                    yield member.filename, content
