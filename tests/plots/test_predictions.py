import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import predictions

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 8, 10, 3), np.uint8)
NAMES = [["cat", "dog", "a very long name of a class that is rare"], ["dog", "cat", "cow"]]
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]])


def test_a_bar_for_each_class_beside_each_picture():
    (axes,) = predictions(IMAGES, NAMES, PROBABILITIES, ["one.png", "two.png"]).axes
    assert len(axes.images) == 2
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(np.divide(widths, widths[0]), PROBABILITIES.ravel() / 0.7)
    texts = [text.get_text() for text in axes.texts if text.get_text()]
    assert texts[:5] == ["one.png", "cat", "0.700", "dog", "0.200"]
    right = max(bar.get_x() + bar.get_width() for bar in axes.patches)
    assert right < axes.get_xlim()[1] and axes.get_ylim()[1] == 0


def test_everything_fits_on_the_page():
    figure = predictions(IMAGES[..., :1], NAMES, PROBABILITIES, ["a long path to an image" * 5, ""])
    figure.canvas.draw()
    page = figure.bbox
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1


@pytest.mark.parametrize(
    ("images", "names", "probabilities", "message"),
    [
        (IMAGES / 255, NAMES, PROBABILITIES, "images: float64"),
        (IMAGES[0], NAMES, PROBABILITIES, r"shape \(8, 10, 3\)"),
        (IMAGES, NAMES[:1], PROBABILITIES, "1 lists of names"),
        (IMAGES, NAMES, PROBABILITIES[:, :2], r"probabilities of shape \(2, 2\)"),
    ],
)
def test_other_shapes_are_refused(images, names, probabilities, message):
    with pytest.raises(InputError, match=message):
        predictions(images, names, probabilities)
