import hashlib
import sys

import pytest

from jaxvision.errors import InputError
from jaxvision.models.published import PUBLISHED, TORCHVISION, Published, cache_directory, published_file
from tests.server import serving

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def requests(tmp_path, monkeypatch):
    """Weights of the model "net" are published; the requests for them so far."""
    with serving(tmp_path / "www") as (url, requests):
        for folder in ("", "whole", "truncated"):
            (tmp_path / "www" / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / "www" / folder / "net.safetensors").write_bytes(CONTENT)
        monkeypatch.setenv("JAXVISION_CACHE", str(tmp_path / "cache"))
        publish(monkeypatch, url)
        yield requests


def publish(monkeypatch, url, sha256=SHA256[:8]):
    monkeypatch.setitem(PUBLISHED, "net", Published(url, "net.safetensors", 0.01, sha256))


def address():
    return PUBLISHED["net"].directory


def cached(tmp_path):
    return {path.name: path.read_bytes() for path in (tmp_path / "cache").iterdir()}


def test_a_file_is_fetched_once(tmp_path, requests):
    for _ in range(2):
        assert published_file("net") == tmp_path / "cache" / "net.safetensors"
    assert cached(tmp_path) == {"net.safetensors": CONTENT}
    assert requests == [("net.safetensors", 0)]


def test_what_torch_is_missing_for_is_not_fetched(requests, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(PUBLISHED, "net", PUBLISHED["net"]._replace(file_name="net.pth"))
    with pytest.raises(InputError, match=r"net\.pth: \.pth files need torch, which is not installed"):
        published_file("net")
    assert requests == []


@pytest.mark.parametrize(("folder", "asked_for"), [("", 5120), ("whole/", 0)])
def test_what_broke_off_is_resumed(tmp_path, requests, monkeypatch, folder, asked_for):
    url = address()
    publish(monkeypatch, f"{url}truncated/")
    broke_off = (
        r"cannot fetch http\S+truncated/net\.safetensors \(0.01 MiB\): "
        r"broke off after 5120 of 10240 bytes; what came"
    )
    with pytest.raises(InputError, match=broke_off):
        published_file("net")
    assert cached(tmp_path) == {".net.safetensors.partial": CONTENT[:5120]}
    publish(monkeypatch, url + folder)
    published_file("net")
    assert cached(tmp_path) == {"net.safetensors": CONTENT}
    assert requests[1:] == [("net.safetensors", asked_for)]


def test_one_that_was_never_renamed(tmp_path, requests):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".net.safetensors.partial").write_bytes(CONTENT)
    published_file("net")
    assert cached(tmp_path) == {"net.safetensors": CONTENT}


def test_another_file_of_that_name_is_refused(tmp_path, requests, monkeypatch):
    publish(monkeypatch, address(), sha256="0123abcd")
    message = rf"net\.safetensors: its SHA-256 is {SHA256}, expected 0123abcd\.\.\.; nothing is kept"
    with pytest.raises(InputError, match=message):
        published_file("net")
    assert cached(tmp_path) == {}


def test_one_that_changed_in_the_cache_is_refused(tmp_path, requests):
    path = published_file("net")
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(InputError, match=rf"^{path}: its SHA-256 is \w+, expected {SHA256[:8]}.*delete it"):
        published_file("net")


def test_one_of_another_size_is_not_even_hashed(tmp_path, requests, monkeypatch):
    path = published_file("net")
    monkeypatch.setattr("jaxvision.models.published.digest_of", None)
    path.write_bytes(CONTENT[:5120])
    with pytest.raises(InputError, match=rf"^{path}: 0\.005 MiB, expected 0\.01; delete it"):
        published_file("net")


def test_what_can_not_be_fetched_or_kept(tmp_path, requests, monkeypatch):
    with pytest.raises(InputError, match=r"^lenet: no published weights are known; give the path of a file"):
        published_file("lenet")
    publish(monkeypatch, f"{address()}absent/")
    absent = r"absent/net\.safetensors \(0.01 MiB\): HTTP Error 404.*; what came is kept"
    with pytest.raises(InputError, match=absent):
        published_file("net")
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("JAXVISION_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=rf"^{tmp_path}/file: File exists"):
        published_file("net")


def test_where_files_are_kept(tmp_path, monkeypatch):
    monkeypatch.delenv("JAXVISION_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "jaxvision_weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory().parts[-2:] == (".cache", "jaxvision_weights")


@pytest.mark.parity
def test_addresses_and_sizes_are_torchvisions():
    from scripts.benchmarks.torch_oracle import torchvision_and_operators

    get_model_weights = torchvision_and_operators()[0].models.get_model_weights
    theirs = {name: source for name, source in PUBLISHED.items() if source.directory == TORCHVISION}
    assert len(theirs) == 20
    for name, source in theirs.items():
        published = get_model_weights(name).IMAGENET1K_V1
        assert source.directory + source.file_name == published.url
        assert source.size_mib == published.meta["_file_size"]
        assert source.sha256 in published.url and len(source.sha256) == 8
