import hashlib
from contextlib import ExitStack

import numpy as np
import pytest

from jaxvision.data import load, prepare
from jaxvision.data.download import DOWNLOADS, Download, download
from jaxvision.errors import InputError
from tests.server import serving


@pytest.fixture
def serve():
    """A function that serves a directory and returns the URL of it."""
    with ExitStack() as stack:
        yield lambda directory: stack.enter_context(serving(directory))[0]


@pytest.fixture
def truncated(tmp_path):
    """A file of which half will be served."""
    (tmp_path / "truncated").mkdir()
    (tmp_path / "truncated" / "file").write_bytes(b"x" * 1000)


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def mnist_served(mnist_raw, serve, monkeypatch):
    root, arrays = mnist_raw
    url = serve(root)
    sources = tuple(Download(path.name, md5(path), (url,)) for path in sorted(root.iterdir()))
    monkeypatch.setitem(DOWNLOADS, "mnist", sources)
    return root, arrays


def test_a_data_set_from_its_publisher(mnist_served, tmp_path):
    prepare("mnist", data_dir=tmp_path / "data")
    test = load("mnist", tmp_path / "data").open_test(tmp_path / "record", "0")
    np.testing.assert_array_equal(test.resident()["image"], mnist_served[1]["test"][0])


def test_a_changed_file_stops_everything(mnist_served, tmp_path):
    (mnist_served[0] / "train-labels-idx1-ubyte").write_bytes(b"other")
    with pytest.raises(InputError, match=r"http\S+train-labels-idx1-ubyte: MD5 795f\w+, expected .* --raw PATH"):
        prepare("mnist", data_dir=tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


def test_the_next_mirror_serves_what_the_first_does_not(serve, truncated, tmp_path):
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "file").write_bytes(b"content")
    url = serve(tmp_path)
    mirrors = (f"{url}absent/", f"{url}truncated/", f"{url}good/")
    source = Download("file", md5(tmp_path / "good" / "file"), mirrors)
    assert download(source, tmp_path / "out").read_bytes() == b"content"


def test_every_failure_is_named(serve, truncated, tmp_path):
    url = serve(tmp_path)
    source = Download("file", "0" * 32, (f"{url}absent/", f"{url}truncated/", "http://127.0.0.1:1/"))
    with pytest.raises(InputError) as caught:
        download(source, tmp_path / "out")
    message = str(caught.value)
    assert "absent/file: HTTP Error 404" in message
    assert "truncated/file: broke off after 500 of 1000 bytes;" in message
    assert "127.0.0.1:1/file: <urlopen error [Errno 111] Connection refused>" in message
    assert "\n" not in message


def test_a_full_disk_is_not_taken_for_a_network_failure(serve, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"content")
    source = Download("file", md5(tmp_path / "file"), (serve(tmp_path),))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        download(source, tmp_path / "out")
