"""Pictures beside what a model takes them for."""

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.page import MARGIN, blank_page, drawn_size, lines_height, place, write
from jaxvision.plots.style import DPI, MEDIUM, SMALL, TRAIN, house_style, text_width

GAP = 10  # pixels
LONGEST_BAR, BAR_HEIGHT, BAR_PITCH, NUMBER_WIDTH = 200, 14, 22, 44  # pixels


@house_style()
def predictions(images, class_names, probabilities, titles=None):
    """One row for each picture: the picture, and a bar for each of its likeliest classes.

    images: uint8 [N, H, W, 1] or [N, H, W, 3]. class_names: for each picture the K names of its bars.
    probabilities: [N, K], in [0, 1]. titles: N strings.

    Returns a Figure. Raises InputError for other shapes.
    """
    images, probabilities = np.asarray(images), np.asarray(probabilities)
    if images.ndim != 4 or images.shape[3] not in (1, 3) or images.dtype != np.uint8 or not images.size:
        raise InputError(f"images: {images.dtype} of shape {images.shape}, expected uint8 [N, H, W, 1 or 3]")
    titles = [""] * len(images) if titles is None else [str(title) for title in titles]
    shape = (len(images), len(class_names[0]) if len(class_names) else 0)
    if probabilities.shape != shape or [*map(len, class_names)] != [shape[1]] * shape[0] or len(titles) != shape[0]:
        raise InputError(
            f"predictions: {len(images)} images, {len(class_names)} lists of names, {len(titles)} titles and "
            f"probabilities of shape {probabilities.shape}, expected as many of each and a name for each number"
        )

    height, width = drawn_size(*images.shape[1:3], near=160, most=256)
    title_height = lines_height(any(titles), MEDIUM)
    names_width = round(max(text_width(name, SMALL) for names in class_names for name in names) * DPI)
    bars_left = MARGIN + width + GAP + names_width + GAP
    titles_right = MARGIN + round(max(text_width(title, MEDIUM, "bold") for title in titles) * DPI)
    page_width = max(bars_left + LONGEST_BAR + NUMBER_WIDTH, titles_right) + MARGIN
    row_height = title_height + max(height, BAR_PITCH * shape[1]) + GAP
    figure, axes = blank_page(page_width, 2 * MARGIN + row_height * len(images) - GAP)
    for number, (image, names, likely, title) in enumerate(zip(images, class_names, probabilities, titles)):
        top = MARGIN + number * row_height
        write(axes, [title], MARGIN, top, MEDIUM, fontweight="bold")
        top += title_height
        picture = image[..., 0] if image.shape[2] == 1 else image
        place(axes, picture, MARGIN, top, (height, width), "gray", (0, 255))
        for rank, (name, probability) in enumerate(zip(names, likely)):
            middle = top + BAR_PITCH * (rank + 0.5)
            write(axes, [name], bars_left - GAP, middle, SMALL, ha="right", va="center")
            axes.barh(middle, LONGEST_BAR * probability, BAR_HEIGHT, left=bars_left, color=TRAIN)
            end = bars_left + LONGEST_BAR * probability + 4
            write(axes, [f"{probability:.3f}"], end, middle, SMALL, va="center")
    return figure
