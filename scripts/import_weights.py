"""Say what is in a weight file, check it against a model, write it in another format.

Examples:
    scripts/run scripts/import_weights.py resnet50-0676ba61.pth
    scripts/run scripts/import_weights.py resnet50-0676ba61.pth --model resnet50 --out resnet50.safetensors
"""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from jaxvision import models, weights
from jaxvision.errors import InputError

NO_PARAMETERS = ("running_mean", "running_var", "num_batches_tracked")


def import_weights(
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    model: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None,
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None,
) -> None:
    """Say what is in a weight file, check it against a model, write it in another format.

    Args:
        file: A .safetensors, .pth, .pt or .th file of a layout that is known, such as torchvision's.
        model: A model of the catalogue that the file has to fit.
        out: Where to write the same arrays, as .safetensors, .pth, .pt or .th; half precision becomes float32.
    """
    arrays = weights.read(file)
    try:
        layout = weights.recognise(arrays)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    parameters = sum(array.size for key, array in arrays.items() if key.rpartition(".")[2] not in NO_PARAMETERS)
    classes = weights.class_count(arrays, layout)
    head = "no head" if classes is None else f"{classes} classes"
    print(f"{file}: {layout.name}, {len(arrays)} arrays with {parameters:,} parameters, {head}")
    if model:
        _, _, preprocess = models.load(model, file)
        print(f"fits {model}, with images as for the published weights of this layout: {preprocess}")
    if out:
        weights.write(arrays, out)
        print(f"wrote {out}")


def main() -> None:
    try:
        tyro.cli(import_weights)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
