import numpy as np
import pytest

from jaxvision.data.folders import descend, read_folder, read_split_folders
from jaxvision.errors import InputError

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5)
COLOUR = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


def flat(per_class, image=GREY):
    return {f"{name}/{i:02}.png": image for name in ("cat", "dog") for i in range(per_class)}


def test_flat_folders_are_split_80_10_10_by_class(class_folders):
    contents = read_folder(class_folders(flat(20)), "error")
    assert {name: list(np.bincount(split.labels)) for name, split in contents.splits.items()} == {
        "train": [16, 16],
        "validation": [2, 2],
        "test": [2, 2],
    }
    names = [name for split in contents.splits.values() for name in split.file_names]
    assert sorted(names) == sorted(flat(20)) and contents.class_names == ("cat", "dog")
    for split in contents.splits.values():
        assert [contents.class_names[label] for label in split.labels] == [n[:3] for n in split.file_names]


def test_split_folders_and_their_labels(class_folders):
    files = {f"{split}/{name}/1.png": GREY for split in ("train", "val", "test") for name in ("b", "a")}
    contents = read_folder(class_folders(files | {"test/b/deeper/2.png": GREY, "test/b/.hidden": b""}), "error")
    assert contents.class_names == ("a", "b") and contents.image_shape == (4, 5, 1)
    assert set(contents.splits) == {"train", "validation", "test"}
    assert contents.splits["test"].file_names == ("test/a/1.png", "test/b/1.png", "test/b/deeper/2.png")
    np.testing.assert_array_equal(contents.splits["test"].labels, [0, 1, 1])


def test_a_validation_folder_alone_is_the_test_split(class_folders):
    files = {f"{split}/{name}/1.png": GREY for split in ("train", "validation") for name in "ab"}
    contents = read_folder(class_folders(files), "error")
    assert set(contents.splits) == {"train", "test"}


def test_one_colour_image_makes_a_colour_set_and_other_sizes_are_noted(class_folders):
    assert read_folder(class_folders(flat(5)), "error").image_shape == (4, 5, 1)
    mixed = read_folder(class_folders({"dog/x.png": COLOUR, "dog/y.png": GREY[:2]}), "error")
    assert mixed.image_shape == (None, None, 3)


def test_bytes_are_kept_as_they_are_in_every_format(class_folders, encoded):
    formats = ("JPEG", "PNG", "PPM", "BMP", "WEBP")
    files = {f"{name}/{form}": encoded(COLOUR, form) for name in "ab" for form in formats}
    contents = read_folder(class_folders(files), "error")
    for split in contents.splits.values():
        assert [files[name] for name in split.file_names] == list(split.images)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not an image", "not an image; expected one of JPEG"),
        ("truncated", "corrupt image"),
        (np.arange(20, dtype=np.uint16).reshape(4, 5), "image of mode I;16; expected 8 bits a channel"),
    ],
)
def test_a_bad_image_is_an_error_or_skipped(class_folders, encoded, content, message):
    if isinstance(content, str):
        content = encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "JPEG")[:2000]
    root = class_folders(flat(10) | {"cat/05a.jpg": content})
    with pytest.raises(InputError, match=rf"cat/05a\.jpg: {message}"):
        read_folder(root, "error")
    contents = read_folder(root, "skip")
    assert contents.skipped == ("cat/05a.jpg",)
    assert sum(len(split.labels) for split in contents.splits.values()) == 20


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train/a/1", "train/b/1"], "has train; expected train and a test or val folder"),
        (["test/a/1", "val/b/1"], "has test, val"),
        (["train/a/1", "train/b/1", "test/c/1"], r"c: not a class of the training split \(a, b"),
        (
            ["train/a/1", "train/b/1", "test/a/1", "testannot/a/1"],
            "testannot: unexpected beside split folders",
        ),
        (
            ["train/a/1", "train/b/1", "val/a/1", "validation/a/1"],
            "validation: unexpected beside split folders",
        ),
        (["train/1", "test/1"], "train: 0 class folders, expected at least 2"),
        (["a/1", "b/1"], "2 images, too few for a train, a validation and a test split"),
    ],
)
def test_impossible_layouts(class_folders, files, message):
    with pytest.raises(InputError, match=message):
        read_folder(class_folders({name: GREY for name in files}), "error")


def test_known_classes_and_shape_are_held(class_folders):
    root = class_folders({f"{split}/{name}/1.png": GREY for split in ("train", "test") for name in ("cat", "eel")})
    contents = read_split_folders(root, "error", class_names=("ant", "cat", "eel"), image_shape=(4, 5, 3))
    np.testing.assert_array_equal(contents.splits["train"].labels, [1, 2])
    assert contents.image_shape == (4, 5, 3)
    with pytest.raises(InputError, match=r"cat/1\.png: image of \(4, 5\), expected \(8, 8\)"):
        read_split_folders(root, "error", class_names=("cat", "eel"), image_shape=(8, 8, 3))
    with pytest.raises(InputError, match="eel: not a class"):
        read_split_folders(root, "error", class_names=("cat", "dog"))


def test_descend_stops_at_data(class_folders):
    root = class_folders(
        {"outer/inner/a/1": GREY, "outer/inner/b/1": GREY, "outer/.DS_Store": b"", "__MACOSX/x": b""}
    )
    assert descend(root) == root / "outer" / "inner"
    only_train = class_folders({"train/a/1": GREY}, "other")
    assert descend(only_train) == only_train
