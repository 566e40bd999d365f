import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from jaxvision.data import load, prepare
from jaxvision.data.download import DOWNLOADS, Download, download
from jaxvision.errors import InputError


class Handler(SimpleHTTPRequestHandler):
    """Serves files; of those below /truncated/ half of what was announced."""

    def do_GET(self):
        if not self.path.startswith("/truncated/"):
            return super().do_GET()
        content = b"x" * 1000
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:500])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def serve(tmp_path):
    """A function that serves a directory and returns the URL of it."""
    servers = []

    def start(directory):
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=directory))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


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


def test_the_next_mirror_serves_what_the_first_does_not(serve, tmp_path):
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "file").write_bytes(b"content")
    url = serve(tmp_path)
    mirrors = (f"{url}absent/", f"{url}truncated/", f"{url}good/")
    source = Download("file", md5(tmp_path / "good" / "file"), mirrors)
    assert download(source, tmp_path / "out").read_bytes() == b"content"


def test_every_failure_is_named(serve, tmp_path):
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
