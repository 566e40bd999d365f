"""What a web address holds, into a file: the half of a download that does not know what it is good for."""

import hashlib
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from jaxvision.progress import bar

TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 18
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416


class UnreachableError(Exception):
    """A failure of the network, as opposed to one of the disk."""


def fetch(url: str, path: Path, digest: str, *, resume: bool = False) -> str:
    """Write the body of `url` to `path`; returns its digest, such as "md5" or "sha256", in hexadecimal.

    With `resume` the bytes that `path` has already are not asked for again, where the server allows it. That they
    are the first ones of this body is for the digest to show. Raises UnreachableError; what came until then stays.
    """
    with path.open("r+b" if resume and path.exists() else "w+b") as file, bar() as progress:
        task = progress.add_task(url.rpartition("/")[2], total=None)
        position = file.seek(0, 2)
        for start, chunk, total in _body(url, position):
            file.seek(start)
            file.write(chunk)
            progress.update(task, completed=file.tell(), total=total)
        file.truncate()
    return digest_of(path, digest)


def digest_of(path: Path, digest: str) -> str:
    """The digest of a file, such as "md5" or "sha256", in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(digest, usedforsecurity=False)).hexdigest()


def _body(url: str, skip: int) -> Iterator[tuple[int, bytes, int | None]]:
    """Chunks of the body but for its first bytes, with the place of each and the length of all, where announced.

    From the first byte on where the server knows no better.
    """
    request = urllib.request.Request(url, headers={"Range": f"bytes={skip}-"} if skip else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            position = skip if response.status == PARTIAL_CONTENT else 0
            announced = int(response.headers["Content-Length"] or 0)
            total = position + announced if announced else None
            while chunk := response.read(CHUNK_BYTES):
                yield position, chunk, total
                position += len(chunk)
            if total and position < total:
                raise UnreachableError(f"broke off after {position} of {total} bytes")
    except HTTPError as error:
        if error.code == RANGE_NOT_SATISFIABLE:  # all of it is there
            return
        raise UnreachableError(error) from error
    except (OSError, HTTPException) as error:
        raise UnreachableError(error) from error
