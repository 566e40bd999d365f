import numpy as np
import pytest
from PIL import Image

from jaxvision.errors import InputError
from jaxvision.plots import image_grid, image_rows, mistakes, responses, save


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def saved_pixels(figure, path):
    save(figure, path)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("shape", [(8, 8), (5, 7), (28, 28, 1), (32, 32, 3)])
def test_every_pixel_of_the_picture_is_a_square_block_of_the_file(shape, tmp_path):
    image = np.random.default_rng(0).integers(0, 250, shape, dtype=np.uint8)
    height, width = shape[:2]
    page = saved_pixels(image_grid(image[None]), tmp_path / "grid.png")
    rows, columns = np.nonzero((page < 255).all(-1))
    block = (np.ptp(rows) + 1) // height
    found = page[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    expected = np.broadcast_to(image.reshape(height, width, -1), (height, width, 3))
    expected = expected.repeat(block, 0).repeat(block, 1).astype(int)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1)  # a grey level is rounded


@pytest.mark.parametrize(
    ("images", "scale", "limits"),
    [
        (np.array([[[3, 9]], [[4, 5]]], np.uint8), "shared", [(0, 255), (0, 255)]),
        (np.array([[[0.2, 0.4]], [[0.3, 0.9]]]), "shared", [(0, 1), (0, 1)]),
        (np.array([[[-2.0, 0.5]], [[0.0, 3.0]]]), "shared", [(-2, 3), (-2, 3)]),
        (np.array([[[-2.0, 0.5]], [[4.0, 4.0]]]), "each", [(-2, 0.5), (4, 5)]),
    ],
)
def test_the_range_of_values_that_is_shown(images, scale, limits):
    (axes,) = image_grid(images, scale=scale).axes
    assert [image.get_clim() for image in axes.images] == limits
    for drawn, image in zip(axes.images, images, strict=True):
        np.testing.assert_array_equal(drawn.get_array(), image.astype(np.float32))


def test_colour_pictures_are_stretched_to_their_own_range():
    filters = np.array([-1.0, 0.0, 1.0, 3.0, 1.0, -1.0]).reshape(1, 1, 2, 3)
    (axes,) = image_grid(filters, scale="each").axes
    np.testing.assert_array_equal(axes.images[0].get_array().ravel(), [0, 0.25, 0.5, 1, 0.5, 0])


def test_diverging_colours_have_white_at_zero_and_a_colour_bar():
    weights = np.array([[[0.0, -1.0]], [[0.0, 4.0]]])
    axes, bar = image_grid(weights, diverging=True).axes
    first, second = axes.images
    assert first.get_clim() == second.get_clim() == (-4, 4)
    assert min(first.to_rgba([[0.0]]).ravel()) > 0.96
    (red, _, blue, _) = first.to_rgba([[4.0]]).ravel()
    assert red > 2 * blue
    np.testing.assert_array_equal(bar.get_yticks(), [-4, 0, 4])

    (axes,) = image_grid(weights, diverging=True, scale="each").axes
    assert [image.get_clim() for image in axes.images] == [(-1, 1), (-4, 4)]
    axes, _ = image_grid(np.zeros((1, 2, 2)), diverging=True).axes
    assert axes.images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (5, 1), (10, 2), (11, 3), (16, 4), (64, 8)])
def test_rows_are_filled_if_they_can_be(count, rows):
    (axes,) = image_grid(np.zeros((count, 4, 4))).axes
    assert len({image.get_extent()[3] for image in axes.images}) == rows


def test_pictures_do_not_overlap_and_lie_on_the_page():
    figure = image_grid(np.zeros((7, 4, 6)), [str(i) for i in range(7)], columns=3, suptitle="Seven")
    (axes,) = figure.axes
    covered = np.zeros(np.round(figure.get_size_inches()[::-1] * 120).astype(int), int)
    for image in axes.images:
        left, right, bottom, top = image.get_extent()
        assert 0 <= left < right <= covered.shape[1] and 0 <= top < bottom <= covered.shape[0]
        covered[top:bottom, left:right] += 1
    assert covered.max() == 1
    assert texts(figure) == ["Seven", *"0123456"]


def test_large_pictures_are_shrunk():
    (axes,) = image_grid(np.zeros((1, 1000, 500))).axes
    left, right, bottom, top = axes.images[0].get_extent()
    assert (bottom - top, right - left) == (256, 128)


def test_dollar_signs_are_not_formulas(tmp_path):
    figure = image_grid(np.zeros((1, 4, 4)), ["$5 as $_"])
    save(figure, tmp_path / "grid.png")
    assert not figure.axes[0].texts[-1].get_parse_math()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": np.zeros((4, 4))}, r"images: shape \(4, 4\)"),
        ({"images": np.zeros((2, 4, 4, 2))}, r"shape \(2, 4, 4, 2\)"),
        ({"images": np.zeros((0, 4, 4))}, r"shape \(0, 4, 4\)"),
        ({"images": np.full((1, 4, 4), np.nan)}, "images: NaN"),
        ({"images": np.zeros((2, 4, 4)), "titles": ["a"]}, "titles: 1 of them, .* 2 images"),
        ({"images": np.zeros((2, 4, 4)), "scale": "row"}, "scale: 'row'"),
        ({"images": np.zeros((2, 4, 4)), "columns": 0}, "columns: 0"),
        ({"images": np.zeros((2, 4, 4, 3)), "diverging": True}, "diverging: .* 3 channels"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        image_grid(**arguments)


LABELS = np.array([7, 1, 4, 9, 3])
PREDICTIONS = np.array([1, 1, 9, 4, 5])
PROBABILITIES = np.array([0.7, 0.99, 0.985, 0.5, 0.6])


def test_the_surest_mistakes_come_first():
    images = np.arange(5, dtype=np.uint8).repeat(4).reshape(5, 2, 2)
    figure = mistakes(images, LABELS, PREDICTIONS, PROBABILITIES, range(10), count=3)
    assert texts(figure) == [
        "4 mistakes among 5 images, the\nsurest 3",
        "4 as 9, 0.98",
        "7 as 1, 0.70",
        "3 as 5, 0.60",
    ]
    assert [image.get_array()[0, 0] for image in figure.axes[0].images] == [2, 0, 4]


def test_images_may_come_from_a_function():
    images = np.arange(5, dtype=np.uint8).repeat(4).reshape(5, 2, 2)
    figure = mistakes(lambda indices: images[indices], LABELS, PREDICTIONS, PROBABILITIES, range(10), count=3)
    assert [image.get_array()[0, 0] for image in figure.axes[0].images] == [2, 0, 4]


def test_no_mistake_is_said_in_words():
    figure = mistakes(np.zeros((5, 2, 2)), LABELS, LABELS, PROBABILITIES, range(10))
    assert texts(figure) == ["no mistake among 5 images"]


def test_the_probability_is_that_of_the_prediction():
    with pytest.raises(InputError, match=r"probabilities: shape \(5, 10\), expected \(5,\)"):
        mistakes(np.zeros((5, 2, 2)), LABELS, PREDICTIONS, np.zeros((5, 10)), range(10))


def test_responses_show_the_first_channels_of_each_layer():
    c1 = np.random.default_rng(0).normal(size=(6, 6, 3))
    c5 = np.random.default_rng(1).normal(size=(1, 1, 120))
    figure = responses({"C1": c1, "C5": c5}, image=np.zeros((8, 8, 1)), channels=5)
    assert texts(figure) == ["input", "8x8", "C1", "6x6x3", "C5", "1x1x120, first 5"]
    drawn = figure.axes[0].images
    assert len(drawn) == 1 + 3 + 5
    np.testing.assert_array_equal(drawn[2].get_array(), c1[:, :, 1].astype(np.float32))
    np.testing.assert_array_equal(drawn[8].get_array(), c5[:, :, 4].astype(np.float32))
    np.testing.assert_allclose([image.get_clim() for image in drawn[1:4]], [(c1.min(), c1.max())] * 3)
    assert len({image.get_extent()[3] for image in drawn}) == 3


def test_responses_name_the_layer_that_does_not_fit():
    with pytest.raises(InputError, match=r"responses of 'F6': shape \(84,\), expected \[H, W, C\]"):
        responses({"F6": np.zeros(84)})
    with pytest.raises(InputError, match="no layer and no image"):
        responses({})


def test_rows_of_pictures_are_moments_and_columns_units():
    moments = {f"step {step}": np.full((3, 4, 6), step, float) + np.arange(3).reshape(3, 1, 1) for step in (0, 10)}
    figure = image_rows(moments, ["unit 0", "unit 1", "unit 2"], suptitle="Weights")
    assert texts(figure) == ["Weights", "unit 0", "unit 1", "unit 2", "step 0", "step 10"]
    drawn = figure.axes[0].images
    assert [image.get_array()[0, 0] for image in drawn] == [0, 1, 2, 10, 11, 12]
    tops, lefts = ([image.get_extent()[i] for image in drawn] for i in (3, 0))
    assert tops[0] == tops[1] == tops[2] < tops[3] == tops[4] == tops[5]
    assert lefts[:3] == lefts[3:] == sorted(set(lefts))
    names = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    left, right, bottom, top = drawn[4].get_extent()
    assert names["unit 1"][0] == (left + right) / 2 and names["step 10"][1] == (top + bottom) / 2
    assert names["step 10"][0] < lefts[0] and names["unit 1"][1] <= tops[0]


@pytest.mark.parametrize(
    ("scale", "diverging", "limits"),
    [
        ("shared", False, [(-4, 8)] * 4),
        ("row", False, [(-1, 2)] * 2 + [(-4, 8)] * 2),
        ("each", False, [(-1, 1), (0, 2), (-4, 4), (0, 8)]),
        ("shared", True, [(-8, 8)] * 4),
        ("row", True, [(-2, 2)] * 2 + [(-8, 8)] * 2),
        ("each", True, [(-1, 1), (-2, 2), (-4, 4), (-8, 8)]),
    ],
)
def test_ranges_of_rows_of_pictures(scale, diverging, limits):
    row = np.array([[[-1.0, 1.0]], [[0.0, 2.0]]])
    axes = image_rows({"early": row, "late": 4 * row}, scale=scale, diverging=diverging).axes
    assert [image.get_clim() for image in axes[0].images] == limits
    assert len(axes) == 1 + (diverging and scale == "shared")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ({}, {}, "rows: empty"),
        ({"a": np.zeros((2, 4, 4)), "b": np.zeros((3, 4, 4))}, {}, r"rows: shapes \[\(2, 4, 4\), \(3, 4, 4\)\]"),
        ({"a": np.zeros((4, 4))}, {}, r"row 'a': shape \(4, 4\)"),
        ({"a": np.zeros((2, 4, 4))}, {"column_names": ["x"]}, "column_names: 1 of them, expected 2"),
        ({"a": np.zeros((2, 4, 4))}, {"scale": "column"}, "scale: 'column'"),
        ({"a": np.zeros((2, 4, 4, 3))}, {"diverging": True}, "diverging: .* 3 channels"),
    ],
)
def test_bad_rows_of_pictures_are_named(rows, options, message):
    with pytest.raises(InputError, match=message):
        image_rows(rows, **options)
