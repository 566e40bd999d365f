import subprocess
import sys

import matplotlib
import pytest
from matplotlib.figure import Figure
from PIL import Image

from jaxvision.errors import InputError
from jaxvision.plots import image_grid, save, training_curves


def test_a_saved_figure_is_a_png_of_120_dpi_and_alone_in_its_directory(tmp_path):
    path = tmp_path / "figures" / "empty.png"
    save(Figure(figsize=(2, 1)), path)
    save(Figure(figsize=(3, 1)), path)  # replaces the first
    assert [file.name for file in path.parent.iterdir()] == ["empty.png"]
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (360, 120))


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        save(Figure(), path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("figure.png", b"old")]


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"curve\.pdf: .* ends in \.png"):
        save(Figure(), tmp_path / "curve.pdf")


def test_the_look_is_not_left_behind(tmp_path):
    before = dict(matplotlib.rcParams)
    save(training_curves([{"step": 1, "split": "train", "loss": 1.0}], ["loss"]), tmp_path / "curve.png")
    save(image_grid([[[0.0, 1.0]]]), tmp_path / "grid.png")
    assert dict(matplotlib.rcParams) == before


def test_the_room_is_entered_without_matplotlib_or_jax():
    code = "import sys, jaxvision.plots; sys.exit(bool({'matplotlib', 'jax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
