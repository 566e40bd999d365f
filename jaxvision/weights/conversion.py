"""From a weight file to variables and back."""

from pathlib import Path

import numpy as np

from jaxvision.errors import InputError
from jaxvision.weights.engine import counters_among, to_arrays, to_variables
from jaxvision.weights.files import read, write
from jaxvision.weights.layout import Layout


def load(path: str | Path, layout: Layout, template: dict, **options) -> dict:
    """The template's tree filled with a file, as numpy arrays; options and errors are those of `to_variables`.

    What is wrong with the file raises one InputError that begins with its name.
    """
    arrays = read(path)
    try:
        return to_variables(arrays, layout, template, **options)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def save(
    variables: dict, layout: Layout, path: str | Path, *, counters: dict[str, np.ndarray] | None = None
) -> None:
    """Write a .safetensors or, with torch, a .pth, .pt or .th file with the layout's keys, whole or not at all.

    `counters` are those of the file the variables came from. Raises InputError for another suffix or counters of
    other variables, OSError where the file can't be written.
    """
    write(to_arrays(variables, layout, counters=counters), path)


def counters(path: str | Path) -> dict[str, np.ndarray]:
    """Torch's counters of batches, int64, by their keys in the file: no part of our variables, for `save` only."""
    arrays = read(path)
    return {key: arrays[key] for key in arrays if key in counters_among(arrays, arrays)}
