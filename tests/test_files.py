import os

import pytest

from jaxvision.files import write_whole


@pytest.mark.parametrize("content", ["text", b"text", lambda file: file.write(b"text")])
def test_what_is_written_replaces_what_was_there(tmp_path, content):
    (tmp_path / "file").write_text("before")
    write_whole(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == b"text"
    assert os.stat(tmp_path / "file").st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_half_a_file_is_none_and_what_was_there_stays(tmp_path):
    def half(file):
        file.write(b"half")
        raise KeyboardInterrupt

    (tmp_path / "file").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", half)
    assert (tmp_path / "file").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_names_the_file(tmp_path):
    def full(file):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError) as error:
        write_whole(tmp_path / "file", full)
    assert error.value.filename == str(tmp_path / "file")


def test_what_the_content_misses_is_named_itself(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        write_whole(tmp_path / "file", lambda file: file.write((tmp_path / "frame.png").read_bytes()))
    assert error.value.filename == str(tmp_path / "frame.png")


def test_a_folder_that_is_not_there_is_told_with_the_file_and_not_with_a_name_of_ours(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        write_whole(tmp_path / "missing/file", "text")
    assert error.value.filename == str(tmp_path / "missing/file")
