import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments.folder import classify
from jaxvision import models
from jaxvision.augment import ImagePreprocess
from jaxvision.data import prepare
from jaxvision.data.imagenet import imagenet_classes
from jaxvision.data.records import decode
from jaxvision.launch import launch
from scripts import predict

SHAPES = {"disc": (1, 1), "bar": (1, 0), "post": (0, 1)}  # whether it is bounded vertically and horizontally


def photograph(rng, name):
    """Of any size, grey."""
    height, width = rng.integers(20, 40, 2)
    rows, columns = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    down, right = SHAPES[name]
    light = np.exp(-4 * (down * rows**2 + right * columns**2))
    return (30 * light + rng.uniform(0, 225, light.shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The work directory of a short run on a folder of images, and that folder."""
    root, rng = tmp_path_factory.mktemp("predict"), np.random.default_rng(0)
    for split, count in (("train", 20), ("val", 4), ("test", 13)):
        for name in SHAPES:
            (root / "raw" / split / name).mkdir(parents=True)
            for i in range(count):
                Image.fromarray(photograph(rng, name)).save(root / "raw" / split / name / f"{i}.png")
    prepare("shapes", root / "raw", root / "data")
    numbers = "--image-size-px 16 --steps 6 --batch-size 20 --padding-px 1 --learning-rate 0.003"
    flags = f"--dataset shapes --model multiperceptron {numbers}"
    places = ["--workdir", str(root / "run"), "--data-dir", str(root / "data")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["classify", *flags.split(), *places])
        launch(classify.run, classify.Config)
    return root / "run", root / "raw"


@pytest.fixture
def run(monkeypatch, capsys):
    """Call the script; (exit code, standard output, standard error)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "300")
        code = 0
        try:
            predict.main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


def test_a_run_gives_the_test_accuracy_of_its_result(trained, run, tmp_path):
    workdir, raw = trained
    images = sorted((raw / "test").glob("*/*.png"))
    code, _, errors = run(*images, "--workdir", workdir, "--json", tmp_path / "out.json")
    assert (code, errors) == (0, "")
    answers = json.loads((tmp_path / "out.json").read_text())
    assert [answer["image"] for answer in answers] == [str(path) for path in images]
    right = [answer["predictions"][0]["class"] == Path(answer["image"]).parent.name for answer in answers]
    top1 = json.loads((workdir / "result.json").read_text())["test"]["top1"]
    assert np.mean(right) == pytest.approx(top1, abs=1e-6)
    assert 1 / 3 < top1 < 1, "a test of nothing: train for longer or for less"


def test_a_photograph_of_any_size_and_kind(trained, run, tmp_path):
    workdir, _ = trained
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (301, 87, 3), np.uint8)).save(tmp_path / "[red].jpg")
    Image.fromarray(rng.integers(0, 256, (5, 9, 4), np.uint8)).save(tmp_path / "clear.png")
    images = tmp_path / "[red].jpg", tmp_path / "clear.png"
    places = "--json", tmp_path / "out.json", "--figure", tmp_path / "out.png"
    code, output, errors = run(*images, "--workdir", workdir, "--top", "2", *places)
    assert (code, errors) == (0, "")
    for answer in json.loads((tmp_path / "out.json").read_text()):
        first, second = answer["predictions"]
        assert answer["image"] in output and first["class"] in SHAPES
        assert f"{first['probability']:.4f}" in output
        assert 1 >= first["probability"] >= second["probability"] >= 0
        assert first["class"] == sorted(SHAPES)[first["index"]]
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.width > 300


def test_a_run_on_crops_sees_the_middle_of_what_was_stored(monkeypatch, trained):
    preprocess = ImagePreprocess(16, 12, (0.5,) * 3, (0.25,) * 3)
    monkeypatch.setattr(predict, "load_run", lambda workdir: (None, None, preprocess, tuple(SHAPES)))
    path = next((trained[1] / "test").glob("*/*.png"))
    stored = decode(path.read_bytes(), (16, 16, 3))
    np.testing.assert_array_equal(predict.from_run(trained[0]).read(path), stored[2:14, 2:14])


@pytest.fixture
def weights(monkeypatch):
    """`models.load` gives this small model of 1,000 classes; and the preprocessing it was last asked for."""
    assumed = ImagePreprocess(16, 12, (0.5,) * 3, (0.25,) * 3)
    model = models.create("multiperceptron", num_classes=1000)
    variables = models.initialise(model, jax.random.key(0), jnp.zeros((1, 12, 12, 3)))
    asked = {}

    def load(name, path, preprocess):
        asked.update(preprocess)
        return model, variables, assumed

    monkeypatch.setattr(models, "load", load)
    return model, variables, assumed, asked


def test_weights_tell_the_classes_of_imagenet(weights, run, trained, tmp_path):
    model, variables, preprocess, asked = weights
    images = sorted((trained[1] / "test").glob("*/*.png"))[: predict.BATCH + 3]
    code, output, errors = run(*images, "--model", "multiperceptron", "--json", tmp_path / "out.json")
    assert (code, errors) == (0, "") and not any(asked.values())
    assert output.startswith(f"preprocessing: {preprocess}\n")
    crops = [preprocess.crop_image(np.asarray(Image.open(path).convert("RGB"))) for path in images]
    probabilities = jax.nn.softmax(model.apply(variables, preprocess.of_crops(np.stack(crops))))
    names = [synset.name for synset in imagenet_classes()]
    for row, answer in zip(np.asarray(probabilities), json.loads((tmp_path / "out.json").read_text())):
        assert len(answer["predictions"]) == 5
        best = answer["predictions"][0]
        assert best["probability"] == pytest.approx(row.max(), rel=1e-4)
        assert best["probability"] == pytest.approx(row[best["index"]], rel=1e-4)
        assert best["class"] == names[best["index"]] in output


def test_a_preprocessing_is_given_by_flags(weights, run, trained):
    image = next((trained[1] / "test").glob("*/*.png"))
    flags = "--resize-px 14 --crop-px 12 --interpolation bicubic --mean 0.1 0.2 0.3"
    code, _, errors = run(image, "--model", "multiperceptron", *flags.split())
    assert (code, errors) == (0, "")
    given = {"resize_px": 14, "crop_px": 12, "interpolation": "bicubic", "mean": (0.1, 0.2, 0.3), "std": None}
    assert weights[3] == given


def test_classes_without_names_have_numbers_or_those_of_a_file(weights, run, trained, tmp_path, monkeypatch):
    (tmp_path / "names.txt").write_text("".join(f"name {k}\n" for k in range(1000)))
    image = next((trained[1] / "test").glob("*/*.png"))
    assert "name " in run(image, "--model", "multiperceptron", "--class-names", tmp_path / "names.txt")[1]
    monkeypatch.setattr(predict, "usual_classes", lambda model: None)
    assert "class " in run(image, "--model", "multiperceptron")[1]
    (tmp_path / "names.txt").write_text("cat\ndog")
    code, _, errors = run(image, "--model", "multiperceptron", "--class-names", tmp_path / "names.txt")
    assert code == 2 and "names.txt: 2 class names for a model of 1000 outputs" in errors


@pytest.mark.parametrize(
    ("name", "classes", "first"), [("resnet20", 10, "airplane"), ("lenet", 1000, "tench"), ("lenet", 10, None)]
)
def test_usual_classes(name, classes, first):
    found = predict.usual_classes(models.create(name, num_classes=classes))
    assert found is None if first is None else (found[0], len(found)) == (first, classes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "lenet"], "IMAGE: none given"),
        (["{image}"], "expected either --model"),
        (["{image}", "--model", "lenet", "--workdir", "{run}"], "expected either --model"),
        (["{image}", "--workdir", "{run}", "--weights", "w.pth"], "--weights: expected the --model"),
        (["{image}", "--workdir", "{run}", "--resize-px", "9"], "--resize-px: expected the --model"),
        (["{image}", "--workdir", "{run}", "--top", "0"], "--top 0: expected at least 1"),
        (
            ["{image}"] * 41 + ["--workdir", "{run}", "--figure", "f.png"],
            "--figure: 41 images, expected at most 40",
        ),
        (["nowhere.jpg", "--workdir", "{run}"], "nowhere.jpg: No such file"),
        (["{here}", "--workdir", "{run}"], "Is a directory"),
        (["{text}", "--workdir", "{run}"], "text.jpg: not an image"),
        (["{torn}", "--workdir", "{run}"], "torn.png: corrupt image"),
        (["{image}", "--workdir", "nowhere"], "nowhere/model.json: no such file"),
        (["{image}", "--workdir", "{run}", "--class-names", "{image}"], "not a text file"),
        (["{image}", "--workdir", "nowhere", "--figure", "f.jpg"], "f.jpg: figures are written as PNG"),
        (["{image}", "--workdir", "{run}", "--json", "nowhere/f.json"], "f.json"),
    ],
)
def test_bad_input_is_one_line(trained, run, tmp_path, arguments, message):
    workdir, raw = trained
    image = next((raw / "test").glob("*/*.png"))
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "torn.png").write_bytes(image.read_bytes()[:80])
    names = {
        "image": image,
        "run": workdir,
        "here": tmp_path,
        "text": tmp_path / "text.jpg",
        "torn": tmp_path / "torn.png",
    }
    code, _, errors = run(*(argument.format(**names) for argument in arguments))
    assert code == 2 and message in errors
    assert errors.startswith("error: ") and errors.count("\n") == 1
