"""Weight files as dictionaries of arrays by the names in the file.

.safetensors is read and written directly; .pth, .pt and .th, which are pickles, through torch's `weights_only`
loader, which builds tensors and containers and runs nothing else.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp  # gives numpy the bfloat16 that safetensors asks it for
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from jaxvision.errors import InputError
from jaxvision.files import write_whole

TORCH_SUFFIXES = (".pth", ".pt", ".th", ".pth.tar")
NUMPY_KINDS = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}
HALF = (np.dtype(np.float16), np.dtype(jnp.bfloat16))


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a weight file, as they are but for float16 and bfloat16, which become float32.

    A checkpoint's dictionary "state_dict" is taken out of it, and "module." off the keys where all begin with it.
    Nothing in a pickle is run. Raises InputError if the file is missing, damaged, of another kind, or holds more
    than arrays, or if it is a pickle and torch is not installed.
    """
    path = Path(path)
    reader = _read_torch if _is_torch(path) else _read_safetensors
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    arrays = reader(path)
    if arrays and all(key.startswith("module.") for key in arrays):
        arrays = {key.removeprefix("module."): array for key, array in arrays.items()}
    return {key: array.astype(np.float32) if array.dtype in HALF else array for key, array in arrays.items()}


def write(arrays: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Write a .safetensors or, with torch, a .pth, .pt or .th file, whole or not at all.

    Raises InputError for another suffix or without torch, OSError where the file can't be written.
    """
    path = Path(path)
    if _is_torch(path):
        torch = _torch(path)
        tensors = {key: torch.tensor(array) for key, array in arrays.items()}
        write_whole(path, lambda file: torch.save(tensors, file))
    else:
        # Both are taken for granted: the order of the bytes by `save`, the metadata by other readers.
        contiguous = {key: np.asarray(array, order="C") for key, array in arrays.items()}
        write_whole(path, save(contiguous, metadata={"format": "pt"}))


def check_readable(path: str | Path) -> None:
    """Raise InputError if no file of this name can be read here: it names no weight file, or torch is missing."""
    if _is_torch(path := Path(path)):
        _torch(path)


def _is_torch(path):
    if path.name.endswith(TORCH_SUFFIXES):
        return True
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: not the name of a weight file, expected .safetensors, .pth, .pt or .th")
    return False


def _read_safetensors(path):
    try:
        with safe_open(path, framework="np") as file:
            names = file.keys()
            kinds = {name: file.get_slice(name).get_dtype() for name in names}
            if unknown := [f"{name} {kind}" for name, kind in kinds.items() if kind not in NUMPY_KINDS]:
                raise InputError(f"{path}: of a type that numpy lacks: {', '.join(unknown)}; expected F32")
            return file.get_tensors()
    except SafetensorError as error:
        raise InputError(f"{path}: damaged, or not a safetensors file ({error})") from error


def _read_torch(path):
    torch = _torch(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # an error says it all
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged pickle or archive provokes
        if names := _names_of_code(torch, path, error):
            raise InputError(
                f"{path}: refers to {', '.join(names)}, which could run code, so nothing of it was loaded; "
                "expected tensors alone, as of torch.save(model.state_dict(), path)"
            ) from error
        raise InputError(f"{path}: damaged, or not a file of torch.save; nothing of it was loaded") from error
    if isinstance(content, Mapping):
        content = content.get("state_dict", content)
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected a dictionary of tensors")
    arrays = {str(key): _as_array(torch, value) for key, value in content.items()}
    if foreign := [key for key, array in arrays.items() if array is None]:
        raise InputError(
            f"{path}: no ordinary tensors: {', '.join(foreign)}; expected a dictionary of tensors, alone or as the "
            '"state_dict" of another'
        )
    return arrays


def _as_array(torch, value):
    """The same as numpy has it; None for what is no tensor or, as a sparse one, is strange to numpy."""
    if not isinstance(value, torch.Tensor):
        return None
    try:
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy(force=True)
    except (TypeError, RuntimeError):
        return None


def _names_of_code(torch, path, error):
    """What a pickle refers to besides tensors, found without running it."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # not a whole archive, which is all that the function reads
        return re.findall(r"GLOBAL ([\w.]+)", str(error))


def _torch(path):
    try:
        import torch
    except ImportError:
        raise InputError(
            f"{path}: {path.suffix} files need torch, which is not installed; JAXVISION_EXTRAS=torch before a "
            "command of scripts/run installs it, or use a .safetensors file"
        ) from None
    return torch
