"""Grids of pictures: inputs, weights, filters, layer responses, mistakes."""

from math import ceil, isqrt

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.page import MARGIN, blank_page, drawn_size, lines_height, place, wrap, write
from jaxvision.plots.style import DPI, LARGE, MUTED, SMALL, house_style, text_width

GAP = 8  # pixels between pictures
BAR_WIDTH, BAR_HEIGHT, BAR_LABEL = 10, 200, 52  # pixels
NAME_WIDTH = 160  # pixels that the name of a row may take


@house_style()
def image_grid(images, titles=None, *, columns=None, diverging=False, suptitle=None, scale="shared"):
    """Pictures in rows, magnified by a whole number and never smoothed.

    images: [N, H, W], [N, H, W, 1] or [N, H, W, 3], finite, uint8 or float. titles: N strings.
    scale: "shared" shows all on one range: 0 to 255 for uint8, 0 to 1 for floats that lie in it, else the
    smallest to the largest value; "each" stretches every picture to its own range.
    diverging: blue below zero, white at zero, red above, for weights; a colour bar if the range is shared.

    Returns a Figure. Raises InputError for another shape, number of titles, scale or columns, for values that
    are not finite, and for diverging colours on colour pictures.
    """
    images = _as_pictures(images, "images")
    count, in_colour = len(images), images.ndim == 4
    titles = [""] * count if titles is None else [str(title) for title in titles]
    columns = _columns(count) if columns is None else columns
    if len(titles) != count:
        raise InputError(f"titles: {len(titles)} of them, expected one for each of the {count} images")
    if scale not in ("shared", "each"):
        raise InputError(f"scale: {scale!r}, expected 'shared' or 'each'")
    if diverging and in_colour:
        raise InputError("diverging: the images have 3 channels, expected [N, H, W] or [N, H, W, 1]")
    if columns < 1:
        raise InputError(f"columns: {columns}, expected 1 or more")
    columns = min(columns, count)

    with_bar = diverging and scale == "shared"
    height, width = drawn_size(*images.shape[1:3], near=112, most=256)
    page_width = 2 * MARGIN + columns * (width + GAP) - GAP + (GAP + BAR_WIDTH + BAR_LABEL) * with_bar
    captions = [wrap(title, width + GAP, SMALL) for title in titles]
    caption_height = lines_height(max(map(len, captions)), SMALL)
    heading = wrap(suptitle or "", page_width - 2 * MARGIN, LARGE, "bold")
    top = MARGIN + lines_height(len(heading), LARGE) + (GAP if heading else 0)
    row_height = caption_height + height + GAP
    page_height = top + ceil(count / columns) * row_height - GAP + MARGIN

    figure, axes = blank_page(page_width, page_height)
    write(axes, heading, MARGIN, MARGIN, LARGE, fontweight="bold")
    cmap = "RdBu_r" if diverging else "gray"
    for index, limits in enumerate(_ranges(images, diverging, scale)):
        x = MARGIN + index % columns * (width + GAP)
        y = top + index // columns * row_height
        write(axes, captions[index], x + width / 2, y + caption_height - 2, SMALL, ha="center", va="bottom")
        drawn = place(axes, images[index], x, y + caption_height, (height, width), cmap, limits)
    if with_bar:
        _colour_bar(figure, drawn, page_width - MARGIN - BAR_LABEL - BAR_WIDTH, top + caption_height)
    return figure


@house_style()
def image_rows(rows, column_names=None, *, diverging=False, suptitle=None, scale="shared"):
    """Pictures in a table, named at the left and above: the weights of every unit at moments in training.

    rows: name -> N pictures as in `image_grid`, as many and as large in every row. column_names: N strings.
    scale: "shared", "each" as in `image_grid`; "row" shows every row on its own range. diverging: as there.

    Returns a Figure. Raises InputError as `image_grid` does, if there is no row, and if rows differ in shape.
    """
    if not rows:
        raise InputError("rows: empty, expected at least one")
    shapes = {np.shape(pictures) for pictures in rows.values()}
    if len(shapes) > 1:
        raise InputError(f"rows: shapes {sorted(shapes)}, expected the same pictures in every row")
    pictures = np.stack([_as_pictures(pictures, f"row {name!r}") for name, pictures in rows.items()])
    columns = pictures.shape[1]
    column_names = [""] * columns if column_names is None else [str(name) for name in column_names]
    if len(column_names) != columns:
        raise InputError(f"column_names: {len(column_names)} of them, expected {columns}")
    if scale not in ("shared", "row", "each"):
        raise InputError(f"scale: {scale!r}, expected 'shared', 'row' or 'each'")
    if diverging and pictures.ndim == 5:
        raise InputError("diverging: the images have 3 channels, expected [N, H, W] or [N, H, W, 1]")

    with_bar = diverging and scale == "shared"
    height, width = drawn_size(*pictures.shape[2:4], near=84, most=168)
    names = [wrap(str(name), NAME_WIDTH, SMALL, "bold") for name in rows]
    label_width = min(round(max(text_width(str(name), SMALL, "bold") for name in rows) * DPI), NAME_WIDTH) + 2 * GAP
    captions = [wrap(name, width + GAP, SMALL) for name in column_names]
    caption_height = lines_height(max(map(len, captions)), SMALL)
    left = MARGIN + label_width
    page_width = left + columns * (width + GAP) - GAP + (GAP + BAR_WIDTH + BAR_LABEL) * with_bar + MARGIN
    heading = wrap(suptitle or "", page_width - 2 * MARGIN, LARGE, "bold")
    top = MARGIN + lines_height(len(heading), LARGE) + (GAP if heading else 0) + caption_height
    page_height = top + len(rows) * (height + GAP) - GAP + MARGIN

    figure, axes = blank_page(page_width, page_height)
    write(axes, heading, MARGIN, MARGIN, LARGE, fontweight="bold")
    for index, caption in enumerate(captions):
        x = left + index * (width + GAP) + width / 2
        write(axes, caption, x, top - 2, SMALL, ha="center", va="bottom")
    cmap = "RdBu_r" if diverging else "gray"
    for number, (name, limits) in enumerate(zip(names, _row_ranges(pictures, diverging, scale))):
        y = top + number * (height + GAP)
        write(axes, name, MARGIN, y + height / 2, SMALL, va="center", fontweight="bold")
        for index, picture in enumerate(pictures[number]):
            x = left + index * (width + GAP)
            drawn = place(axes, picture, x, y, (height, width), cmap, limits[index])
    if with_bar:
        _colour_bar(figure, drawn, page_width - MARGIN - BAR_LABEL - BAR_WIDTH, top)
    return figure


@house_style()
def mistakes(images, labels, predictions, probabilities, class_names, *, count=24, columns=None):
    """The mistakes that the model was surest of, the surest first, with captions such as "7 as 1, 0.98".

    images as in `image_grid`, or a function from indices to such images, for sets too large to hold; labels and
    predictions [N], indices into class_names; probabilities [N], what the model gave its prediction.

    Returns a Figure (of one line of text if there is no mistake). Raises InputError if the lengths differ.
    """
    labels, predictions, probabilities = map(np.asarray, (labels, predictions, probabilities))
    fetch = images if callable(images) else np.asarray(images).__getitem__
    size = len(labels) if callable(images) else len(images)
    for name, array in [("labels", labels), ("predictions", predictions), ("probabilities", probabilities)]:
        if array.shape != (size,):
            raise InputError(f"{name}: shape {array.shape}, expected ({size},), one for each image")

    wrong = np.flatnonzero(labels != predictions)
    shown = wrong[np.argsort(-probabilities[wrong], kind="stable")][:count]
    if not len(wrong):
        return _one_line(f"no mistake among {size:,} images")
    captions = [f"{class_names[labels[i]]} as {class_names[predictions[i]]}, {probabilities[i]:.2f}" for i in shown]
    heading = f"{len(wrong):,} mistake{'s' * (len(wrong) > 1)} among {size:,} images"
    if len(shown) < len(wrong):
        heading += f", the surest {len(shown)}"
    return image_grid(fetch(shown), captions, columns=columns, suptitle=heading)


@house_style()
def responses(named, image=None, *, channels=8):
    """What every layer says about one picture: one row a layer, its first channels, on one range a row.

    named: layer name -> array [H, W, C], drawn in the order given. image: the input [H, W], [H, W, 1] or
    [H, W, 3], drawn first.

    Returns a Figure. Raises InputError if there is nothing to draw or an array has another rank.
    """
    rows = _layer_rows(named, image, channels)
    if not rows:
        raise InputError("responses: no layer and no image, expected at least one")
    sizes = [drawn_size(*pictures.shape[1:3], near=84, most=112) for _, _, pictures, _ in rows]
    widest = max(text_width(text, SMALL, "bold") for name, note, _, _ in rows for text in (str(name), note))
    label_width = min(round(widest * DPI), 240) + 2 * GAP
    pitch = max(width for _, width in sizes) + GAP
    most = max(len(pictures) for _, _, pictures, _ in rows)
    page_width = 2 * MARGIN + label_width + most * pitch - GAP
    page_height = 2 * MARGIN + sum(height + GAP for height, _ in sizes) - GAP

    figure, axes = blank_page(page_width, page_height)
    y = MARGIN
    for (name, note, pictures, cmap), size in zip(rows, sizes):
        title = wrap(str(name), label_width, SMALL, "bold")
        write(axes, title, MARGIN, y, SMALL, fontweight="bold")
        write(axes, [note], MARGIN, y + lines_height(len(title), SMALL), SMALL - 1, color=MUTED)
        limits = _natural_range(pictures) if cmap == "gray" else _own_range(pictures)
        for index, picture in enumerate(pictures):
            place(axes, picture, MARGIN + label_width + index * pitch, y, size, cmap, limits)
        y += size[0] + GAP
    return figure


def _layer_rows(named, image, channels):
    """(name, note below the name, pictures, colour map) of every row."""
    rows = []
    if image is not None:
        picture = _as_pictures(np.asarray(image)[None], "image")
        rows.append(("input", "x".join(map(str, picture.shape[1:])), picture, "gray"))
    for name, array in named.items():
        array = np.asarray(array)
        if array.ndim != 3:
            raise InputError(f"responses of {name!r}: shape {array.shape}, expected [H, W, C]")
        note = "x".join(map(str, array.shape))
        if array.shape[-1] > channels:
            note += f", first {channels}"
        maps = _as_pictures(np.moveaxis(array, -1, 0)[:channels], f"responses of {name!r}")
        rows.append((name, note, maps, "viridis"))
    return rows


def _as_pictures(images, name):
    """Check the shape and drop a channel axis of one: [N, H, W] or [N, H, W, 3], uint8 or float32."""
    images = np.asarray(images)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] != 3) or not images.size:
        expected = "[N, H, W], [N, H, W, 1] or [N, H, W, 3] and not empty"
        raise InputError(f"{name}: shape {images.shape}, expected {expected}")
    if images.dtype == np.uint8:
        return images
    images = images.astype(np.float32)
    if not np.isfinite(images).all():
        raise InputError(f"{name}: NaN or infinity among the values, expected finite numbers")
    return images


def _columns(count):
    """About as many columns as rows, or up to twice as many if that leaves no hole in the last row."""
    side = isqrt(count - 1) + 1
    return next((columns for columns in range(side, 2 * side + 1) if count % columns == 0), side)


def _ranges(images, diverging, scale):
    """Lowest and highest value to show, for each image."""
    if scale == "each":
        return [_symmetric(image) if diverging else _own_range(image) for image in images]
    return [_symmetric(images) if diverging else _natural_range(images)] * len(images)


def _row_ranges(rows, diverging, scale):
    """Lowest and highest value to show, for each image of each row."""
    if scale == "row":
        return [_ranges(row, diverging, "shared") for row in rows]
    ranges = _ranges(rows.reshape(-1, *rows.shape[2:]), diverging, scale)
    return [ranges[start : start + rows.shape[1]] for start in range(0, len(ranges), rows.shape[1])]


def _natural_range(images):
    if images.dtype == np.uint8:
        return 0.0, 255.0
    low, high = _own_range(images)
    return (0.0, 1.0) if low >= 0 and images.max() <= 1 else (low, high)


def _own_range(image):
    low, high = float(image.min()), float(image.max())
    return (low, high) if high > low else (low, low + 1)


def _symmetric(image):
    limit = float(np.abs(image.astype(np.float32)).max()) or 1.0
    return -limit, limit


def _colour_bar(figure, drawn, left, top):
    width, height = figure.get_size_inches() * DPI
    tall = min(BAR_HEIGHT, height - top - MARGIN)
    place_on_page = (left / width, 1 - (top + tall) / height, BAR_WIDTH / width, tall / height)
    low, high = drawn.get_clim()
    bar = figure.colorbar(drawn, cax=figure.add_axes(place_on_page), ticks=[low, 0, high], format="{x:.2g}")
    bar.outline.set_visible(False)


def _one_line(text):
    figure, axes = blank_page(420, lines_height(1, LARGE) + 2 * MARGIN)
    write(axes, [text], MARGIN, MARGIN, LARGE)
    return figure
