"""Weight files that their authors published, fetched once and checked at every use."""

import os
from pathlib import Path
from typing import NamedTuple

from jaxvision.errors import InputError
from jaxvision.fetch import UnreachableError, digest_of, fetch
from jaxvision.weights import check_readable

TORCHVISION = "https://download.pytorch.org/models/"
IDELBAYEV = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/"
BRENDEL = (
    "https://bitbucket.org/wielandbrendel/bag-of-feature-pretrained-models/raw/"
    "249e8fa82c0913623a807d9d35eeab9da7dcc2a8/"
)


class Published(NamedTuple):
    """A file at an address.

    Attributes:
      directory: the address up to the file's name.
      file_name: torch's custom: the first eight digits of the file's SHA-256 are part of it.
      size_mib: as published, in units of 2**20 bytes; None where it is not.
      sha256: the digits that the file's SHA-256 begins with, as many as are known.
    """

    directory: str
    file_name: str
    size_mib: float | None
    sha256: str


def _torch_hub(directory, file_name, size_mib=None):
    return Published(directory, file_name, size_mib, file_name.split(".")[0].rpartition("-")[2])


PUBLISHED = {
    "alexnet": _torch_hub(TORCHVISION, "alexnet-owt-7be5be79.pth", 233.087),
    "bagnet17": _torch_hub(BRENDEL, "bagnet16-105524de.pth.tar"),
    "bagnet33": _torch_hub(BRENDEL, "bagnet32-2ddd53ed.pth.tar"),
    "bagnet9": _torch_hub(BRENDEL, "bagnet8-34f4ccd2.pth.tar"),
    "googlenet": _torch_hub(TORCHVISION, "googlenet-1378be20.pth", 49.731),
    "mobilenet_v2": _torch_hub(TORCHVISION, "mobilenet_v2-b0353104.pth", 13.555),
    "resnet101": _torch_hub(TORCHVISION, "resnet101-63fe2227.pth", 170.511),
    "resnet110": _torch_hub(IDELBAYEV, "resnet110-1d1ed7c2.th"),
    "resnet1202": _torch_hub(IDELBAYEV, "resnet1202-f3b1deed.th"),
    "resnet152": _torch_hub(TORCHVISION, "resnet152-394f9c45.pth", 230.434),
    "resnet18": _torch_hub(TORCHVISION, "resnet18-f37072fd.pth", 44.661),
    "resnet20": _torch_hub(IDELBAYEV, "resnet20-12fca82f.th"),
    "resnet32": _torch_hub(IDELBAYEV, "resnet32-d509ac18.th"),
    "resnet34": _torch_hub(TORCHVISION, "resnet34-b627a593.pth", 83.275),
    "resnet44": _torch_hub(IDELBAYEV, "resnet44-014dd654.th"),
    "resnet50": _torch_hub(TORCHVISION, "resnet50-0676ba61.pth", 97.781),
    "resnet56": _torch_hub(IDELBAYEV, "resnet56-4bfd9763.th"),
    "vgg11": _torch_hub(TORCHVISION, "vgg11-8a719046.pth", 506.84),
    "vgg11_bn": _torch_hub(TORCHVISION, "vgg11_bn-6002323d.pth", 506.881),
    "vgg13": _torch_hub(TORCHVISION, "vgg13-19584684.pth", 507.545),
    "vgg13_bn": _torch_hub(TORCHVISION, "vgg13_bn-abd245e5.pth", 507.59),
    "vgg16": _torch_hub(TORCHVISION, "vgg16-397923af.pth", 527.796),
    "vgg16_bn": _torch_hub(TORCHVISION, "vgg16_bn-6c64b313.pth", 527.866),
    "vgg19": _torch_hub(TORCHVISION, "vgg19-dcbb9e9d.pth", 548.051),
    "vgg19_bn": _torch_hub(TORCHVISION, "vgg19_bn-c79401a0.pth", 548.143),
    "vit_b_16": _torch_hub(TORCHVISION, "vit_b_16-c867db91.pth", 330.285),
    "vit_b_32": _torch_hub(TORCHVISION, "vit_b_32-d86f8d99.pth", 336.604),
    "vit_l_16": _torch_hub(TORCHVISION, "vit_l_16-852ce7e3.pth", 1161.023),
    "vit_l_32": _torch_hub(TORCHVISION, "vit_l_32-c7638314.pth", 1169.449),
}


def cache_directory() -> Path:
    """The environment's JAXVISION_CACHE, else jaxvision_weights in $XDG_CACHE_HOME or ~/.cache.

    Not the folder of compiled programs, which is private and throws away what is old.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("JAXVISION_CACHE") or caches / "jaxvision_weights").expanduser()


def published_file(name: str) -> Path:
    """The weights that were published for this model, from the cache or fetched into it.

    What was fetched before a connection broke off is kept and not fetched again. Raises InputError if none are
    known, if they can't be fetched, kept or read here, or if their size or SHA-256 is not the published one.
    """
    if name not in PUBLISHED:
        raise InputError(f"{name}: no published weights are known; give the path of a file")
    source = PUBLISHED[name]
    path = cache_directory() / source.file_name
    check_readable(source.file_name)  # before it is fetched: it may be a gigabyte
    try:
        if path.exists():
            _require_size(source, path)
            _require_digest(source, path, digest_of(path, "sha256"), "delete it and it is fetched anew")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            _fetch(source, path)
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror or error}") from error
    return path


def _fetch(source, path):
    url = source.directory + source.file_name
    partial = path.with_name(f".{path.name}.partial")
    try:
        sha256 = fetch(url, partial, "sha256", resume=True)
    except UnreachableError as error:
        size = f" ({source.size_mib} MiB)" if source.size_mib else ""
        raise InputError(
            f"cannot fetch {url}{size}: {error}; what came is kept. A file that you have is given by its path"
        ) from error
    try:
        _require_digest(source, url, sha256, "nothing is kept")
    except InputError:
        partial.unlink()
        raise
    try:
        os.replace(partial, path)
    except FileNotFoundError:
        if not path.exists():  # else another process, which wrote the same, was faster
            raise


def _require_size(source, path):
    """Much sooner known than the digest; published to 0.001 MiB."""
    size_mib = path.stat().st_size / 2**20
    if source.size_mib is not None and abs(size_mib - source.size_mib) > 0.001:
        raise InputError(
            f"{path}: {size_mib:.3f} MiB, expected {source.size_mib}; delete it and it is fetched anew"
        )


def _require_digest(source, where, sha256, consequence):
    if not sha256.startswith(source.sha256):
        raise InputError(f"{where}: its SHA-256 is {sha256}, expected {source.sha256}...; {consequence}")
