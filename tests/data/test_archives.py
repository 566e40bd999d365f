import io
import tarfile
import zipfile

import pytest

from jaxvision.data.archives import unpacked
from jaxvision.errors import InputError

FILES = {"data/b.txt": b"two", "data/a/c.txt": b"three"}


def write_tar(path, files, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture(params=["zip", "tar", "tar.gz", "tar.xz"])
def write_archive(request, tmp_path):
    def write(files):
        path = tmp_path / f"archive.{request.param}"
        if request.param == "zip":
            return write_zip(path, files)
        return write_tar(path, files, f"w:{request.param.partition('.')[2]}")

    return write


def test_members_arrive_where_and_as_they_were(write_archive, tmp_path):
    root = unpacked(write_archive(FILES), tmp_path / "out")
    assert {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()} == FILES


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "..\\evil", "C:\\evil"])
def test_members_that_lead_outside_are_refused(write_archive, tmp_path, name):
    archive = write_archive({name: b"x"})
    with pytest.raises(InputError, match="leads outside of the archive"):
        unpacked(archive, tmp_path / "in" / "out")
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    member = tarfile.TarInfo("link")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.addfile(member)
    with pytest.raises(InputError, match="'link' is a link or a device"):
        unpacked(tmp_path / "x.tar", tmp_path / "out")


def test_a_truncated_archive_is_named(tmp_path):
    whole = write_tar(tmp_path / "whole", {"a": bytes(range(256)) * 400}, "w:gz").read_bytes()
    archive = tmp_path / "cut.tar.gz"
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.tar\.gz: damaged archive"):
        unpacked(archive, tmp_path / "out")


def test_a_zip_with_a_flipped_byte_is_named(tmp_path):
    content = bytearray(write_zip(tmp_path / "x.zip", {"a": b"payload" * 9}).read_bytes())
    content[content.index(b"payload")] ^= 1
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.zip: damaged archive"):
        unpacked(tmp_path / "x.zip", tmp_path / "out")


def test_neither_directory_nor_archive(tmp_path):
    (tmp_path / "file").write_bytes(b"plain")
    with pytest.raises(InputError, match="file: not a directory and not an archive"):
        unpacked(tmp_path / "file", tmp_path / "out")
    with pytest.raises(InputError, match="absent: no such file"):
        unpacked(tmp_path / "absent", tmp_path / "out")
