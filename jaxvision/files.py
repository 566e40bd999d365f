"""Files that are there whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO


def write_whole(path: Path, content: bytes | str | Callable[[BinaryIO], None]) -> None:
    """Write beside `path`, then rename: no reader and no crash ever sees half a file.

    Args:
      content: what to write, or a function that writes it into the open file.

    Raises:
      OSError: the file can't be written; it has its name, not that of what is renamed.
    """
    if isinstance(content, str):
        content = content.encode()
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                content(file) if callable(content) else file.write(content)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o644)  # temporary files are private; what others may share is not
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        named = error.filename  # by a full disk it is not
        if named is None or Path(named).name.startswith(f".{path.name}."):
            error.filename, error.filename2 = str(path), None
        raise
