import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageSequence

from jaxvision.errors import InputError
from jaxvision.plots import animation

LEVELS = [10, 90, 170, 250]
FRAMES = np.array(LEVELS, np.uint8).reshape(4, 1, 1, 1) * np.ones((1, 6, 8, 3), np.uint8)


def read(path):
    """Duration in milliseconds and pixels of every frame, and how often it is repeated."""
    with Image.open(path) as image:
        frames = [
            (frame.info["duration"], np.asarray(frame.convert("RGB"))) for frame in ImageSequence.Iterator(image)
        ]
        return frames, image.info["loop"]


@pytest.mark.parametrize(("fps", "milliseconds"), [(10, 100), (4, 250), (30, 30), (50, 20)])
def test_frames_and_their_time_are_read_back(fps, milliseconds, tmp_path):
    animation(FRAMES, tmp_path / "new" / "moving.gif", fps=fps)
    frames, loop = read(tmp_path / "new" / "moving.gif")
    assert loop == 0  # for ever
    assert [duration for duration, _ in frames] == [milliseconds] * 4
    for (_, pixels), level in zip(frames, LEVELS, strict=True):
        np.testing.assert_allclose(pixels.astype(int), np.full((6, 8, 3), level), atol=1)


def test_equal_frames_become_a_longer_one(tmp_path):
    animation(FRAMES[[0, 1, 1, 1]], tmp_path / "moving.gif", fps=10)
    assert [duration for duration, _ in read(tmp_path / "moving.gif")[0]] == [100, 300]


def test_figures_are_drawn(tmp_path):
    colours = ["#ff0000", "#0000ff"]
    animation((Figure(figsize=(1, 0.5), facecolor=colour) for colour in colours), tmp_path / "moving.gif")
    (_, red), (_, blue) = read(tmp_path / "moving.gif")[0]
    assert red.shape == (60, 120, 3)
    np.testing.assert_array_equal(red[30, 60], [255, 0, 0])
    np.testing.assert_array_equal(blue[30, 60], [0, 0, 255])


def test_a_thin_line_keeps_its_colour_among_many(tmp_path):
    frames = np.random.default_rng(0).integers(150, 250, (2, 90, 100, 3), np.uint8)
    frames[:, 40, 10:20] = (0, 114, 178)
    animation(frames, tmp_path / "moving.gif")
    for _, pixels in read(tmp_path / "moving.gif")[0]:
        np.testing.assert_allclose(pixels[40, 10:20].astype(int), [[0, 114, 178]] * 10, atol=4)


@pytest.mark.parametrize(
    ("frames", "name", "fps", "message"),
    [
        (FRAMES, "moving.png", 10, r"moving\.png: .* ends in \.gif"),
        (FRAMES, "moving.gif", 0, "fps: 0, expected above 0 and up to 50"),
        (FRAMES, "moving.gif", 51, "fps: 51"),
        (FRAMES[:0], "moving.gif", 10, "frames: none"),
        (FRAMES[..., 0], "moving.gif", 10, r"frames: uint8 of shape \(6, 8\)"),
        (FRAMES / 255, "moving.gif", 10, "frames: float64 of shape"),
        ([FRAMES[0], FRAMES[0][:5]], "moving.gif", 10, r"one of \(8, 5\) pixels after one of \(8, 6\)"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_left(frames, name, fps, message, tmp_path):
    with pytest.raises(InputError, match=message):
        animation(frames, tmp_path / name, fps=fps)
    assert not list(tmp_path.iterdir())
