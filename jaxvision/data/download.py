"""Raw files from their publishers, verified before they are used."""

from dataclasses import dataclass
from pathlib import Path

from jaxvision.errors import InputError
from jaxvision.fetch import UnreachableError, fetch

MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
FASHION_MIRRORS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
CIFAR_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)


@dataclass(frozen=True)
class Download:
    """A file that any of the mirrors (URLs up to the file name) may supply, as long as its MD5 is right."""

    file_name: str
    md5: str
    mirrors: tuple[str, ...]


DOWNLOADS = {
    "mnist": (
        Download("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", MNIST_MIRRORS),
        Download("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", MNIST_MIRRORS),
        Download("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", MNIST_MIRRORS),
        Download("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", MNIST_MIRRORS),
    ),
    "fashion_mnist": (
        Download("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", FASHION_MIRRORS),
        Download("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", FASHION_MIRRORS),
        Download("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", FASHION_MIRRORS),
        Download("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", FASHION_MIRRORS),
    ),
    "cifar10": (Download("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", CIFAR_MIRRORS),),
    "cifar100": (Download("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", CIFAR_MIRRORS),),
}


def download(source: Download, directory: Path) -> Path:
    """Fetch a file into `directory` from the first mirror that has it right; InputError when none does."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / source.file_name
    failures = []
    for mirror in source.mirrors:
        url = mirror + source.file_name
        try:
            md5 = fetch(url, path, "md5")
        except UnreachableError as error:
            failures.append(f"{url}: {error}")
            continue
        if md5 == source.md5:
            return path
        failures.append(f"{url}: MD5 {md5}, expected {source.md5}")
    raise InputError(f"cannot download {'; '.join(failures)}. Files you already have are given with --raw PATH")
