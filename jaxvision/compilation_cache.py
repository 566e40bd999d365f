"""What XLA compiled, kept on disk: the same program does not compile again the next time it starts."""

import hashlib
import os
import platform
import sys
import warnings
from pathlib import Path

import jax
import jaxlib

from jaxvision.errors import InputError

LARGEST_BYTES = 1 << 30


def enable() -> None:
    """Keep compiled programs in $XDG_CACHE_HOME/jaxvision or ~/.cache/jaxvision, or do without and say so.

    A folder named by $JAX_COMPILATION_CACHE_DIR is left to JAX.
    """
    if jax.config.jax_compilation_cache_dir:
        return
    caches = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    try:
        folder = private_folder(caches / "jaxvision")
        make_room(folder, LARGEST_BYTES)
    except (InputError, OSError) as error:
        print(f"warning: compiled programs are not kept for the next start: {error}", file=sys.stderr)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder / machine()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    # A full disk, say, costs time and nothing else.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")


def private_folder(path: Path) -> Path:
    """The folder, made if need be. What others write there would run here: InputError if they have access."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise InputError(f"{path} is open to others; expected a folder of yours with mode 700")
    if not os.access(path, os.W_OK):
        raise InputError(f"{path} can't be written")
    return path


def machine() -> str:
    """A name for all that machine code depends on: homes are shared by machines that can do more and less."""
    cpu = platform.processor()
    if (info := Path("/proc/cpuinfo")).exists():
        telling = ("model name", "flags", "Features")
        cpu = "\n".join(sorted({line for line in info.read_text().splitlines() if line.startswith(telling)}))
    return f"jaxlib-{jaxlib.__version__}-{hashlib.sha256(cpu.encode()).hexdigest()[:8]}"


def make_room(folder: Path, largest_bytes: int) -> None:
    """Delete files below the folder, those first that were not used for longest, until the rest is small enough."""
    files = [(path, path.stat()) for path in folder.rglob("*") if path.is_file()]
    excess = sum(status.st_size for _, status in files) - largest_bytes
    for path, status in sorted(files, key=lambda file: max(file[1].st_atime, file[1].st_mtime)):
        if excess <= 0:
            break
        path.unlink(missing_ok=True)
        excess -= status.st_size
