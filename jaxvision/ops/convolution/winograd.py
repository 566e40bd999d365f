"""3x3 convolution with 2.25 times fewer multiplications: Winograd's minimal filtering F(2x2, 3x3).

Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", section 4.1: an output tile of 2x2 is

    Y = A' [(G g G') * (B' d B)] A

of a 4x4 tile d of the image and a 3x3 kernel g. With channels and features the elementwise product is 16 matrix
products, [tiles, C] times [C, O]. The matrices hold only 0, 1, -1 and 1/2, so little accuracy is lost.
"""

import jax
import jax.numpy as jnp
import numpy as np

B = np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]], np.float32)
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
A = np.array([[1, 0], [1, 1], [1, -1], [0, -1]], np.float32)


def winograd(images: jax.Array, kernel: jax.Array, padding: tuple[int, int]) -> jax.Array:
    """Cross-correlation, stride 1: images [B, H, W, C], kernel [3, 3, C, O] -> [B, H', W', O], in float32 or more.

    H' = H + 2 padding - 2, and 0 <= padding.
    """
    batch, channels, features = len(images), *kernel.shape[2:]
    height, width = (size + 2 * pixels - 2 for size, pixels in zip(images.shape[1:3], padding))
    rows, columns = -(-height // 2), -(-width // 2)  # of output tiles; the last ones may stick out
    pads = [(p, 2 * n + 2 - size - p) for size, p, n in zip(images.shape[1:3], padding, (rows, columns))]
    padded = jnp.pad(images, ((0, 0), *pads, (0, 0)))
    # places[i][j]: the pixels that lie at row i, column j of their tile, [B, rows, columns, C]
    places = [
        [padded[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2] for j in range(4)] for i in range(4)
    ]
    data = _both_sides(B, places)
    weights = jnp.einsum("ai,ijco,bj->abco", G, kernel, G)
    # A product for every row of tiles: sixteen take long to compile, and one would copy all data once more.
    products = [list(jnp.stack([x.reshape(-1, channels) for x in row]) @ weights[a]) for a, row in enumerate(data)]
    tiles = jnp.stack([jnp.stack(row) for row in _both_sides(A, products)])
    tiles = tiles.reshape(2, 2, batch, rows, columns, features).transpose(2, 3, 0, 4, 1, 5)
    return tiles.reshape(batch, 2 * rows, 2 * columns, features)[:, :height, :width]


def _both_sides(matrix, tile):
    """matrix' tile matrix, of a 4x4 list of arrays; additions only."""
    by_rows = [[_combine(column, [tile[i][j] for i in range(4)]) for j in range(4)] for column in matrix.T]
    return [[_combine(column, row) for column in matrix.T] for row in by_rows]


def _combine(signs, arrays):
    return sum(array if sign > 0 else -array for sign, array in zip(signs, arrays) if sign)
