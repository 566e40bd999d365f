"""Several looks at one image, for an average or a vote at test time."""

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError


def ten_crop(images: jax.Array, size_px: int | tuple[int, int]) -> jax.Array:
    """The four corners, the centre, and these of the mirrored image: [B, H, W, C] -> [10, B, h, w, C].

    Krizhevsky et al. 2012, section 4.1, in torchvision's order: top left, top right, bottom left, bottom right,
    centre. `size_px` is a side, or height and width. What a model makes of them, probabilities [10, B, K], is for
    `metrics.mean_probability` or `metrics.majority_vote`. Raises InputError where a crop is larger than the images.
    """
    height, width = (size_px, size_px) if isinstance(size_px, int) else size_px
    rows, columns = images.shape[1:3]
    if not (0 < height <= rows and 0 < width <= columns):
        raise InputError(f"size_px: a crop of {height}x{width} does not fit images of {rows}x{columns}")
    bottom, right = rows - height, columns - width
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (round(bottom / 2), round(right / 2))]
    return jnp.stack(
        [
            each[:, top : top + height, left : left + width]
            for each in (images, images[:, :, ::-1])
            for top, left in corners
        ]
    )
