"""Tell what images show, with published weights or with what a run trained.

Examples:
    scripts/run scripts/predict.py cat.jpg dog.jpg --model resnet50 --weights resnet50.pth --figure pets.png
    scripts/run scripts/predict.py cat.jpg --workdir runs/pets --json cat.json
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import numpy as np
import tyro

from jaxvision import compilation_cache, load_run, models, plots
from jaxvision.augment import ImagePreprocess, Preprocess
from jaxvision.data.catalog import BUILT_IN
from jaxvision.data.folders import inspect
from jaxvision.data.imagenet import imagenet_classes
from jaxvision.data.records import decode
from jaxvision.errors import InputError
from jaxvision.launch import fail
from jaxvision.models.resnet_cifar import ResNetCifar
from jaxvision.ops.resampling import Interpolation
from jaxvision.plots.files import check_name
from jaxvision.training.ranges import flag
from jaxvision.training.workdir import write_json

BATCH = 32
MOST_DRAWN = 40  # pictures in one figure

PathFlag = Annotated[Path | None, tyro.conf.arg(metavar="PATH")]


class Classifier(NamedTuple):
    """`read(path)` is a uint8 image [H, W, C], `probabilities` [B, K] those of a batch; names may be unknown."""

    read: Callable[[Path], np.ndarray]
    probabilities: Callable[[np.ndarray], jax.Array]
    class_names: tuple[str, ...] | None


def predict(
    images: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")],
    model: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None,
    weights: PathFlag = None,
    resize_px: int | None = None,
    crop_px: int | None = None,
    interpolation: Interpolation | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    workdir: PathFlag = None,
    class_names: PathFlag = None,
    top: int = 5,
    figure: PathFlag = None,
    json: PathFlag = None,
) -> None:
    """Tell what images show, with published weights or with what a run trained.

    Args:
        images: Files of any size.
        model: Name of a model of the house, such as resnet50.
        weights: Its weight file; without it the published one is fetched.
        resize_px: What the weights expect of the shorter side, if not what is said to be assumed.
        crop_px: The same of the square cut from the centre.
        interpolation: The same of the kernel that scales.
        mean: The same of the mean of each channel, on the scale from 0 to 1.
        std: The same of its standard deviation.
        workdir: Work directory of a run, instead of --model.
        class_names: A text file with the name of a class on each line, in the order of the model's outputs.
        top: How many classes to give for each image.
        figure: A PNG to write: the images with a bar for each class.
        json: A file to write the same to for programs.
    """
    if not images:
        raise InputError("IMAGE: none given, expected the files to look at")
    if (model is None) == (workdir is None):
        raise InputError("expected either --model (with --weights, or the published ones) or --workdir")
    if weights and not model:
        raise InputError("--weights: expected the --model they are for")
    given = {"resize_px": resize_px, "crop_px": crop_px, "interpolation": interpolation, "mean": mean, "std": std}
    if workdir and (flags := [f"--{flag(name)}" for name, value in given.items() if value is not None]):
        raise InputError(f"{', '.join(flags)}: expected the --model they are for; a run knows its own")
    if top < 1:
        raise InputError(f"--top {top}: expected at least 1")
    if figure:
        check_name(figure)
        if len(images) > MOST_DRAWN:
            raise InputError(f"--figure: {len(images)} images, expected at most {MOST_DRAWN} in one figure")
    for path in images:
        if isinstance(found := inspect(path), str):
            raise InputError(f"{path}: {found}")
    classifier = from_run(workdir) if workdir else from_weights(model, weights, given)
    if class_names:
        classifier = classifier._replace(class_names=read_names(class_names))
    probabilities = class_probabilities(classifier, images)
    names = names_of_outputs(classifier.class_names, probabilities.shape[1], class_names or workdir)
    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    results = [
        {"image": str(path), "predictions": [prediction(names, row, k) for k in classes]}
        for path, row, classes in zip(images, probabilities, likeliest)
    ]
    print_table(results)
    if json:
        write_json(json, results)
    if figure:
        pictures = np.stack([classifier.read(path) for path in images])
        shown = [[names[k] for k in classes] for classes in likeliest]
        heights = np.take_along_axis(probabilities, likeliest, axis=1)
        plots.save(plots.predictions(pictures, shown, heights, images), figure)


def prediction(names: tuple[str, ...], probabilities: np.ndarray, k: int) -> dict:
    """What is told about class k, as JSON values."""
    return {"class": names[k], "index": int(k), "probability": float(probabilities[k])}


def from_run(workdir: Path) -> Classifier:
    """What a run trained; an image becomes what it became in the run's data set."""
    model, variables, preprocess, class_names = load_run(workdir)
    if isinstance(preprocess, ImagePreprocess):
        stored = (preprocess.resize_px, preprocess.resize_px, preprocess.image_shape[2])
        return Classifier(
            lambda path: preprocess.crop_image(decode(path.read_bytes(), stored)),
            compiled(model, variables, preprocess),
            class_names,
        )
    return Classifier(
        lambda path: decode(path.read_bytes(), preprocess.image_shape),
        compiled(model, variables, preprocess),
        class_names,
    )


def from_weights(name: str, path: Path | None, given: dict) -> Classifier:
    """A model of the house with weights of others; says which preprocessing that is, where not `given`."""
    model, variables, preprocess = models.load(name, path, preprocess=given)
    print(f"preprocessing: {preprocess}")
    channels = preprocess.image_shape[2]
    return Classifier(
        lambda path: preprocess.crop_image(read_whole(path, channels)),
        compiled(model, variables, preprocess),
        usual_classes(model),
    )


def usual_classes(model) -> tuple[str, ...] | None:
    """Names of the classes of the data set that models of this kind, with so many outputs, are published for."""
    cifar = f"cifar{model.num_classes}"
    if isinstance(model, ResNetCifar) and cifar in BUILT_IN:
        return BUILT_IN[cifar].class_names
    classes = imagenet_classes()
    return tuple(synset.name for synset in classes) if model.num_classes == len(classes) else None


def read_whole(path: Path, channels: int) -> np.ndarray:
    """An image file as uint8 [H, W, channels], of whatever size it is."""
    from PIL import Image

    with Image.open(path) as image:
        image = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return image.reshape(*image.shape[:2], channels)


def compiled(model, variables, preprocess: Preprocess | ImagePreprocess) -> Callable[[np.ndarray], jax.Array]:
    """Images uint8 [B, *preprocess.image_shape] -> probabilities [B, K]."""
    apply = jax.jit(lambda variables, images: jax.nn.softmax(model.apply(variables, preprocess.of_crops(images))))
    return lambda images: apply(variables, images)


def class_probabilities(classifier: Classifier, paths: tuple[Path, ...]) -> np.ndarray:
    """Probabilities [N, K] of the classes of N images, some at a time; all batches are of one size."""
    size = min(BATCH, len(paths))
    padded = [*paths, *paths[:1] * (-len(paths) % size)]
    batches = [
        jax.device_get(classifier.probabilities(np.stack([*map(classifier.read, padded[i : i + size])])))
        for i in range(0, len(paths), size)
    ]
    probabilities = np.concatenate(batches)[: len(paths)]
    if not np.isfinite(probabilities).all():
        raise InputError("the model's answers are not finite numbers: its weights are of no use")
    return probabilities


def read_names(path: Path) -> tuple[str, ...]:
    """The lines of a text file."""
    try:
        return tuple(path.read_text().splitlines())
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; expected the name of a class on each line") from error


def names_of_outputs(names: tuple[str, ...] | None, outputs: int, source: Path | None) -> tuple[str, ...]:
    """A name for each output: its number where there is none."""
    if names is None:
        return tuple(f"class {k}" for k in range(outputs))
    if len(names) != outputs:
        raise InputError(
            f"{source}: {len(names)} class names for a model of {outputs} outputs, expected one for each"
        )
    return names


def print_table(results: list[dict]) -> None:
    """One line for each of the likeliest classes of every image."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("image", "class", "probability")
    table.columns[2].justify = "right"
    for result in results:
        for rank, prediction in enumerate(result["predictions"]):
            image = escape(result["image"]) if rank == 0 else ""
            table.add_row(image, escape(prediction["class"]), f"{prediction['probability']:.4f}")
        table.add_section()
    Console().print(table)


def main() -> None:
    try:
        compilation_cache.enable()
        tyro.cli(predict)
    except InputError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or 'storage'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
