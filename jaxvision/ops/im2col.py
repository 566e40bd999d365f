"""Convolution as one matrix product (Chellapilla et al. 2006): C(x) = E(x) W, where a row of E(x) is a patch.

E, `im2col`, only copies; it is linear, so its transpose, `col2im`, is its gradient: overlapping patches add up.
"""

import functools

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.ops.output_size import both_axes, output_sizes


@functools.partial(jax.jit, static_argnames=("window", "stride", "padding", "dilation"))
def im2col(
    images: jax.Array,
    window: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> jax.Array:
    """E(x): the patch under the window at each of its places, [B, H, W, C] -> [B, H', W', h w C].

    A patch is in the order (row, column, channel), as `kernel.reshape(h * w * C, O)` is; padding is zeros. Each
    option is an int or (h, w). H' and W' are those of `output_size`, as are the errors.
    """
    (height, width), stride, padding, dilation = map(both_axes, (window, stride, padding, dilation))
    if images.ndim != 4:
        raise InputError(f"im2col: images of shape {list(images.shape)}, expected [B, H, W, C]")
    sizes = output_sizes(images.shape[1:3], (height, width), stride=stride, padding=padding, dilation=dilation)
    rows, columns = ((n - 1) * s + 1 for n, s in zip(sizes, stride))
    padded = jnp.pad(images, ((0, 0), *((p, p) for p in padding), (0, 0)))
    slices = [
        padded[:, top : top + rows : stride[0], left : left + columns : stride[1]]
        for top in range(0, height * dilation[0], dilation[0])
        for left in range(0, width * dilation[1], dilation[1])
    ]
    return jnp.concatenate(slices, axis=-1)


@functools.partial(jax.jit, static_argnames=("sizes", "window", "stride", "padding", "dilation"))
def col2im(
    columns: jax.Array,
    sizes: tuple[int, int],
    window: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> jax.Array:
    """The transpose of `im2col`: [B, H', W', h w C] -> [B, H, W, C], each pixel the sum of its copies.

    `sizes` is (H, W). Raises InputError where columns are not what `im2col` makes of images of that size.
    """
    height, width = both_axes(window)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    expected = output_sizes(sizes, window, **options)
    if columns.ndim != 4 or columns.shape[1:3] != expected or columns.shape[3] % (height * width):
        raise InputError(
            f"col2im: columns of shape {list(columns.shape)}, expected "
            f"[B, {expected[0]}, {expected[1]}, {height * width} C] for images of {sizes[0]}x{sizes[1]}"
        )
    sums = columns.astype(jnp.promote_types(columns.dtype, jnp.float32))
    images = jax.ShapeDtypeStruct((len(columns), *sizes, columns.shape[3] // (height * width)), sums.dtype)
    (images,) = jax.linear_transpose(lambda images: im2col(images, window, **options), images)(sums)
    return images.astype(columns.dtype)


def convolve_as_matmul(
    images: jax.Array,
    kernel: jax.Array,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> jax.Array:
    """Cross-correlation as E(x) W: images [B, H, W, C], kernel [h, w, C, O] -> [B, H', W', O].

    The form to learn from: E(x) takes h w times the memory of x. Errors are those of `im2col`.
    """
    if kernel.ndim != 4 or kernel.shape[2] != images.shape[-1]:
        raise InputError(
            f"kernel of shape {list(kernel.shape)}, expected [h, w, {images.shape[-1]}, O] "
            f"for images of shape {list(images.shape)}"
        )
    columns = im2col(images, kernel.shape[:2], stride=stride, padding=padding, dilation=dilation)
    sums = jnp.promote_types(images.dtype, jnp.float32)
    weights = kernel.reshape(-1, kernel.shape[3])
    return jnp.matmul(columns, weights, preferred_element_type=sums).astype(images.dtype)
