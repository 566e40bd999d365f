"""Pooling: the largest value, the sum or the average of each window; windows of fixed size, a fixed number of
windows (adaptive), or one window (global).

Sums run over columns and then over rows, so that a window costs 2 w instead of w**2. The largest value of a
small window is taken over its w**2 strided slices: its gradient needs nothing but the place of the largest
value, one byte, and on a CPU is many times faster than the gradient of `lax.reduce_window`. Windows take values
in the gradient from the phases of the image, pixels of equal distance to a multiple of the stride: each phase has
a gradient without gaps, and they are interleaved once.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxvision.errors import InputError
from jaxvision.ops.output_size import both_axes

Pair = int | tuple[int, int]

LARGEST_SLICED_WINDOW = 25  # places; with more of them the program grows too long
FEWEST_CHANNELS_IN_A_LOOP = 8  # what a vector register holds
LONGEST_ROW_OF_SUMS = 128  # beyond, a product costs more than the loop it replaces

_OPTIONS = ("window", "stride", "padding", "ceil_mode")


@functools.partial(jax.jit, static_argnames=_OPTIONS)
def max_pool(
    images: jax.Array, window: Pair, *, stride: Pair | None = None, padding: Pair = 0, ceil_mode: bool = False
) -> jax.Array:
    """Largest value of each window; padding never wins. Windows may overlap (Krizhevsky et al. 2012, 3.4).

    images [B, H, W, C] -> [B, H', W', C] with H' = (H + 2 padding - window) // stride + 1. Window, stride (the
    window where None) and padding are in pixels, one number or (vertical, horizontal). `ceil_mode` rounds the
    quotient up, so that a last window may overhang, unless it would start in the padding (as in torch; GoogLeNet
    needs it). The gradient goes to the first of equal values, row by row; NaN beats any number. Raises InputError
    where no window fits or one could lie in the padding alone.
    """
    rows, columns = _axes(images, window, stride, padding, ceil_mode)
    if rows.window * columns.window > LARGEST_SLICED_WINDOW:
        return _reduce_windows(images, rows, columns, -jnp.inf, lax.max)
    return _max(images, rows, columns)


@functools.partial(jax.jit, static_argnames=_OPTIONS)
def max_pool_with_switches(
    images: jax.Array, window: Pair, *, stride: Pair | None = None, padding: Pair = 0, ceil_mode: bool = False
) -> tuple[jax.Array, jax.Array]:
    """`max_pool` and where each maximum was, for `unpooling.max_unpool` (Zeiler & Fergus 2014, section 2.1).

    The switches [B, H', W', C] (int32) are positions row * W + column in the plane of H x W pixels, as torch's
    `return_indices`. Meant for windows of a few pixels: those of hundreds take long to compile.
    """
    rows, columns = _axes(images, window, stride, padding, ceil_mode)
    values, places = _largest(images, rows, columns)
    places = places.astype(jnp.int32)
    # Where every value is -inf the place is the first, which may lie in the padding: move it into the image.
    row = jnp.maximum(rows.starts[None, :, None, None] + places // columns.window, 0)
    column = jnp.maximum(columns.starts[None, None, :, None] + places % columns.window, 0)
    return values, (row * columns.size + column).astype(jnp.int32)


@functools.partial(jax.jit, static_argnames=_OPTIONS)
def sum_pool(
    images: jax.Array, window: Pair, *, stride: Pair | None = None, padding: Pair = 0, ceil_mode: bool = False
) -> jax.Array:
    """Sum of each window, padding counting as zeros. Shapes, units and errors as in `max_pool`."""
    return _sums(images, *_axes(images, window, stride, padding, ceil_mode)).astype(images.dtype)


@functools.partial(jax.jit, static_argnames=(*_OPTIONS, "count_include_pad"))
def avg_pool(
    images: jax.Array,
    window: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> jax.Array:
    """Average of each window, padding counting as zeros or, without `count_include_pad`, not at all.

    What overhangs beyond the padding in `ceil_mode` never counts. Shapes, units and errors as in `max_pool`.
    """
    rows, columns = _axes(images, window, stride, padding, ceil_mode)
    counts = np.outer(rows.counted(count_include_pad), columns.counted(count_include_pad))
    return _averages(images, rows, columns, counts)


@functools.partial(jax.jit, static_argnames="size")
def adaptive_max_pool(images: jax.Array, size: Pair) -> jax.Array:
    """Largest values of `size` windows that cover the image, overlapping where sizes do not divide.

    images [B, H, W, C] -> [B, h, w, C] for a size (h, w), or h = w. Window i of h covers the rows from
    floor(i H / h) to ceil((i + 1) H / h), as in torch. Raises InputError where the image or the size is empty.
    """
    rows, columns = _adaptive_axes(images, size)
    return max_pool(_apart(images, rows, columns, -jnp.inf), (rows.longest, columns.longest))


@functools.partial(jax.jit, static_argnames="size")
def adaptive_avg_pool(images: jax.Array, size: Pair) -> jax.Array:
    """Averages of the windows of `adaptive_max_pool`, each over the pixels it has."""
    rows, columns = _adaptive_axes(images, size)
    apart = _apart(images, rows, columns, 0)
    axes = _axes(apart, (rows.longest, columns.longest), None, 0, False)
    return _averages(apart, *axes, np.outer(rows.lengths, columns.lengths))


@jax.jit
def global_max_pool(images: jax.Array) -> jax.Array:
    """Largest value of each plane: [B, H, W, C] -> [B, C]. The gradient goes to the first of equal values."""
    _require_images(images)
    pixels = images.reshape(images.shape[0], -1, images.shape[3])
    return jnp.take_along_axis(pixels, jnp.argmax(pixels, axis=1, keepdims=True), axis=1)[:, 0]


@jax.jit
def global_avg_pool(images: jax.Array) -> jax.Array:
    """Average of each plane: [B, H, W, C] -> [B, C] (Lin, Chen & Yan 2014, section 3.2)."""
    _require_images(images)
    return jnp.mean(images, axis=(1, 2))


class _Axis(NamedTuple):
    """The windows of a pool along one axis, in pixels."""

    size: int
    window: int
    stride: int
    padding: int
    count: int

    @property
    def starts(self):
        return np.arange(self.count) * self.stride - self.padding

    @property
    def pads(self):
        """How far windows reach out of the image, before and after."""
        return self.padding, max(int(self.starts[-1]) + self.window - self.size, 0)

    @property
    def steps(self):
        """Strides that a window reaches over: so many windows, at most, share a pixel."""
        return -(-self.window // self.stride)

    @property
    def pads_to_strides(self):
        """Padding before and after (cropping where negative) with which windows fill whole strides."""
        return self.padding, (self.count + self.steps - 1) * self.stride - self.padding - self.size

    def at(self, place):
        """What stands at this place of every window, in the padded image."""
        return slice(place, place + (self.count - 1) * self.stride + 1, self.stride)

    def counted(self, include_padding):
        """Over how many pixels [count] the average of each window is."""
        low, high = (-self.padding, self.size + self.padding) if include_padding else (0, self.size)
        return np.minimum(self.starts + self.window, high) - np.maximum(self.starts, low)


def _axes(images, window, stride, padding, ceil_mode):
    """The windows along rows and along columns."""
    _require_images(images)
    size, window, padding = images.shape[1:3], both_axes(window), both_axes(padding)
    stride = window if stride is None else both_axes(stride)
    counts = [_count(*numbers, ceil_mode) for numbers in zip(size, window, stride, padding)]
    if min(counts) < 1:
        raise InputError(
            f"pooling: a {_by(window)} window with stride {_by(stride)} and padding {_by(padding)} "
            f"does not fit {_by(size)}"
        )
    return [_Axis(*numbers) for numbers in zip(size, window, stride, padding, counts)]


def _count(size, window, stride, padding, ceil_mode):
    """Number of windows; 0 where they are impossible."""
    if size < 1 or stride < 1 or not 0 <= padding <= window // 2 or window < 1:
        return 0
    room = size + 2 * padding - window
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    starts_in_padding = (count - 1) * stride >= size + padding
    return count - starts_in_padding


def _places(images, rows, columns, fill):
    """The values [B, H', W', C] at each place of a window, row by row."""
    padded = jnp.pad(images, ((0, 0), rows.pads, columns.pads, (0, 0)), constant_values=fill)
    return [
        padded[:, rows.at(top), columns.at(left)] for top in range(rows.window) for left in range(columns.window)
    ]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _largest(images, rows, columns):
    """The largest value of each window, and its place there."""
    values, *others = _places(images, rows, columns, -jnp.inf)
    places = jnp.zeros(values.shape, np.min_scalar_type(rows.window * columns.window))
    for place, value in enumerate(others, 1):
        wins = (value > values) | jnp.isnan(value)  # a NaN that lost would go unseen
        values, places = jnp.where(wins, value, values), jnp.where(wins, place, places)
    return values, places


@_largest.defjvp
def _tangent_of_largest(rows, columns, primals, tangents):
    values, places = _largest(*primals, rows, columns)
    return (values, places), (_pick(*tangents, places, rows, columns), np.zeros(places.shape, jax.dtypes.float0))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _max(images, rows, columns):
    """The largest value of each window; where it was is of interest to a gradient only."""
    return _reduce_windows(images, rows, columns, -jnp.inf, lax.max)


@_max.defjvp
def _tangent_of_max(rows, columns, primals, tangents):
    return jax.jvp(lambda images: _largest(images, rows, columns)[0], primals, tangents)


@functools.partial(jax.checkpoint, prevent_cse=False, static_argnums=(2, 3))  # keeps places, not window**2 masks
def _pick(images, places, rows, columns):
    """The value of each window that stands at this place of it."""
    if rows.steps == columns.steps == 1:
        return _pick_apart(images, places, rows, columns)
    phases = _phases(images, rows, columns)
    around = (rows.steps - 1, rows.steps - 1), (columns.steps - 1, columns.steps - 1)
    places = jnp.pad(places, ((0, 0), *around, (0, 0)), constant_values=rows.window * columns.window)

    def picked(place):
        top, left = divmod(place, columns.window)
        (down, row), (right, column) = divmod(top, rows.stride), divmod(left, columns.stride)
        phase = phases[row][column]
        # Masked as a whole and shifted afterwards: then the gradients of all windows meet in one pass.
        first = rows.steps - 1 - down, columns.steps - 1 - right
        there = _box(places, first, phase.shape[1:3]) == place
        return _box(jnp.where(there, phase, 0), (down, right), (rows.count, columns.count))

    return sum(picked(place) for place in range(rows.window * columns.window))


def _pick_apart(images, places, rows, columns):
    """`_pick` where windows do not overlap: then each pixel is in one window, at one place of it."""
    padded = _padded_to_strides(images, rows, columns)
    batch, channels = len(padded), padded.shape[3]
    place = np.full((rows.stride, columns.stride), rows.window * columns.window, places.dtype)
    place[: rows.window, : columns.window] = np.arange(rows.window * columns.window).reshape(rows.window, -1)
    if channels >= FEWEST_CHANNELS_IN_A_LOOP or columns.count * channels > LONGEST_ROW_OF_SUMS:
        pixels = padded.reshape(batch, rows.count, rows.stride, columns.count, columns.stride, channels)
        there = places[:, :, None, :, None] == place[None, None, :, None, :, None]
        return jnp.sum(jnp.where(there, pixels, 0), (2, 4))
    # Runs of few channels defeat the vector units: columns are spread and summed by products with ones and zeros.
    column_of = np.kron(np.eye(columns.count), np.tile(np.eye(channels), (columns.stride, 1)))
    times_columns = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)
    spread = times_columns(
        places.reshape(batch, rows.count, -1).astype(images.dtype), column_of.T.astype(images.dtype)
    )
    place = np.tile(np.repeat(place, channels, axis=1), columns.count)
    there = spread[:, :, None] == place[None, None].astype(images.dtype)
    pixels = jnp.where(there, padded.reshape(batch, rows.count, rows.stride, -1), 0).sum(2)
    return times_columns(pixels, column_of.astype(images.dtype)).reshape(places.shape)


def _padded_to_strides(images, rows, columns):
    pads = ((0, 0, 0), (*rows.pads_to_strides, 0), (*columns.pads_to_strides, 0), (0, 0, 0))
    return lax.pad(images, jnp.zeros((), images.dtype), pads)


def _phases(images, rows, columns):
    """Phase [i][j] [B, count + steps - 1, ...] holds the pixels i below and j right of multiples of the stride."""
    padded = _padded_to_strides(images, rows, columns)
    batch, height, width, channels = padded.shape
    split = (batch, height // rows.stride, rows.stride, width // columns.stride, columns.stride, channels)
    return [
        [phase.squeeze((2, 4)) for phase in lax.split(row, [1] * columns.stride, 4)]
        for row in lax.split(padded.reshape(split), [1] * rows.stride, 2)
    ]


def _box(images, start, size):
    (top, left), (height, width) = start, size
    return images[:, top : top + height, left : left + width]


def _sums(images, rows, columns):
    wide = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    return _reduce_windows(wide, rows, columns, 0.0, lax.add)


def _averages(images, rows, columns, counts):
    sums = _sums(images, rows, columns)
    return (sums / counts[None, :, :, None].astype(sums.dtype)).astype(images.dtype)


def _reduce_windows(images, rows, columns, start, operation):
    def along(axis, option, otherwise):
        return tuple(option if a == axis else otherwise for a in range(4))

    # Columns first: then the first of equal values is the same as row by row.
    for axis, windows in ((2, columns), (1, rows)):
        window, stride = along(axis, windows.window, 1), along(axis, windows.stride, 1)
        images = lax.reduce_window(images, start, operation, window, stride, along(axis, windows.pads, (0, 0)))
    return images


class _AdaptiveAxis(NamedTuple):
    """The windows of an adaptive pool along one axis: `count` of them cover `size` pixels."""

    size: int
    count: int

    @property
    def starts(self):
        return np.arange(self.count) * self.size // self.count

    @property
    def lengths(self):
        stops = -(-np.arange(1, self.count + 1) * self.size // self.count)
        return stops - self.starts

    @property
    def longest(self):
        return int(self.lengths.max())


def _adaptive_axes(images, size):
    _require_images(images)
    size = both_axes(size)
    if min(*size, *images.shape[1:3]) < 1:
        raise InputError(f"adaptive pooling: from {_by(images.shape[1:3])} to {_by(size)}, expected at least 1x1")
    return [_AdaptiveAxis(*numbers) for numbers in zip(images.shape[1:3], size)]


def _apart(images, rows, columns, fill):
    """The windows side by side, all as large as the largest, with `fill` where a window has no pixel."""
    for axis, windows in ((1, rows), (2, columns)):
        if windows.size % windows.count:
            place = np.arange(windows.longest)[None]
            pixels = np.where(place < windows.lengths[:, None], windows.starts[:, None] + place, windows.size)
            images = jnp.take(images, pixels.reshape(-1), axis=axis, mode="fill", fill_value=fill)
    return images


def _require_images(images):
    if images.ndim != 4:
        raise InputError(f"pooling: images of shape {list(images.shape)}, expected [B, H, W, C]")


def _by(pair):
    return "x".join(map(str, pair))
