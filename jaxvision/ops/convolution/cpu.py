"""Forms of convolution that are fast on a CPU, made of slices and matrix products.

XLA's own convolution is good at the forward pass of a few dozen channels; its kernel gradient, its strided image
gradient and its grouped convolutions are up to a hundred times slower than a matrix product. The forms here read
a few images at a time, so that their patches stay in the cache. `scripts/benchmark.py operators` compares them.
"""

import math

import jax
import jax.numpy as jnp

from jaxvision.ops.convolution import onednn
from jaxvision.ops.convolution.depthwise import depthwise
from jaxvision.ops.convolution.geometry import Geometry
from jaxvision.ops.convolution.library import library_form
from jaxvision.ops.convolution.patches import pad, places
from jaxvision.ops.convolution.winograd import winograd

CHUNK_ELEMENTS = 2**19  # of patches, about as much as the caches nearest to the cores hold
WINOGRAD_CHUNK_ELEMENTS = 2**21  # of tiles: 16 products share their rows, so each should have many
LEAST_CHANNELS_FOR_WINOGRAD = 32  # with fewer its additions cost more than the multiplications it saves
LEAST_FEATURES_FOR_PRODUCTS = 8  # with fewer, and one channel, a product is all overhead
MOST_COPIES_OF_OUTPUT = 3  # for each number copied of the images, in the kernel gradient by one product


def fastest_form(wanted: str, geometry: Geometry, **arrays: jax.Array) -> jax.Array:
    """`trilinear.convolve` by whatever is fastest for these shapes; sums in float32 at least."""
    dtype = next(iter(arrays.values())).dtype
    if not all(isinstance(size, int) and size for array in arrays.values() for size in array.shape):
        return library_form(wanted, geometry, **arrays)  # nothing to compute, or exported for batches of any size
    if onednn.serves(dtype):
        return onednn.onednn_form(wanted, geometry, **arrays)
    if dtype.itemsize < 4:
        arrays = {role: array.astype(jnp.float32) for role, array in arrays.items()}
    if geometry.groups == 1:
        result = DENSE[wanted](geometry, **arrays)
    elif geometry.groups == geometry.channels(**arrays):
        result = depthwise(wanted, geometry, **arrays)
    else:
        result = _grouped(wanted, geometry, **arrays)
    return result.astype(dtype)


def _grouped(wanted, geometry, **arrays):
    """Every group a convolution of its own."""

    def of_one_group(arrays):
        return DENSE[wanted](geometry._replace(groups=1), **arrays)

    parts = {role: array.reshape(*array.shape[:3], geometry.groups, -1) for role, array in arrays.items()}
    result = jax.vmap(of_one_group, 3, 3)(parts)
    return result.reshape(*result.shape[:3], -1)


def _output(geometry, *, images, kernel):
    if geometry.window == (1, 1):
        (rows,), (columns,) = places(geometry, 0), places(geometry, 1)
        return pad(images, geometry)[:, rows, columns] @ kernel[0, 0]
    if images.shape[3] == 1:  # no channels to sum over: one fused loop beats a product with so few rows
        # In a loop over chunks, or XLA repeats it in the loop of everyone who reads it.
        chunk = _chunk(len(images), math.prod(geometry.out_size) * kernel.shape[3], CHUNK_ELEMENTS)
        return _map_chunks(
            chunk, lambda images: depthwise("output", geometry, images=images, kernel=kernel), images
        )
    if _suits_winograd(geometry, *kernel.shape[2:]):
        chunk = _winograd_chunk(geometry, len(images), *kernel.shape[2:])
        return _map_chunks(chunk, lambda images: winograd(images, kernel, geometry.padding), images)
    return library_form("output", geometry, images=images, kernel=kernel)


def _images(geometry, *, kernel, output):
    """As one convolution of the output with the flipped kernel, for any stride.

    With stride s the row i = s t + r of the padded images is touched by the rows r, s + r, 2 s + r ... of the
    kernel only. So each of the s remainders r ("phase") is a convolution with a part of the kernel, and the phases
    become features of one convolution, to be interleaved at the end (Shi et al. 2016, section 3.1).
    """
    if geometry.window == (1, 1):
        return _spread(geometry, output @ kernel[0, 0].T)
    if any(s > 1 and d > 1 for s, d in zip(geometry.stride, geometry.dilation)):
        return library_form("images", geometry, kernel=kernel, output=output)
    axes = zip(
        geometry.size, geometry.out_size, geometry.window, geometry.stride, geometry.padding, geometry.dilation
    )
    first, pads, taps = zip(*(_phases(*axis) for axis in axes))
    padding = tuple(before for before, _ in pads)
    if any(before != after for before, after in pads) or min(padding) < 0:
        zero = jnp.zeros((), output.dtype)
        output = jax.lax.pad(output, zero, [(0, 0, 0), *((before, after, 0) for before, after in pads), (0, 0, 0)])
        padding = (0, 0)

    (height, width), (down, right) = taps, geometry.stride
    channels, features = kernel.shape[2:]
    missing = [(0, n * s - f) for n, s, f in zip(taps, geometry.stride, geometry.window)]
    phases = jnp.pad(kernel, (*missing, (0, 0), (0, 0))).reshape(height, down, width, right, channels, features)
    phases = phases[::-1, :, ::-1].transpose(0, 2, 5, 1, 3, 4).reshape(height, width, features, -1)
    inner = Geometry(output.shape[1:3], taps, (1, 1), padding, geometry.dilation, 1)
    images = _output(inner, images=output, kernel=phases)

    rows, columns = inner.out_size
    images = images.reshape(-1, rows, columns, down, right, channels).transpose(0, 1, 3, 2, 4, 5)
    images = images.reshape(-1, rows * down, columns * right, channels)
    top, left = first
    return images[:, top : top + geometry.size[0], left : left + geometry.size[1]]


def _spread(geometry, pixels):
    """Images of zeros but where a window of one pixel comes to lie; what lies on the padding is left out."""
    axes = zip(geometry.size, geometry.out_size, geometry.stride, geometry.padding)
    edges = [(-p, n + p - ((out - 1) * s + 1), s - 1) for n, out, s, p in axes]
    return jax.lax.pad(pixels, jnp.zeros((), pixels.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


def _phases(size, out_size, window, stride, padding, dilation):
    """Along one axis: (where the images begin in the interleaved phases, padding of output, taps of a phase)."""
    taps = -(-window // stride)
    first, last = padding // stride, (padding + size - 1) // stride
    before = dilation * (taps - 1) - first
    return padding - stride * first, (before, last - (out_size - 1)), taps


def _kernel(geometry, *, images, output):
    """The sum over chunks of the batch."""
    channels, features = images.shape[3], output.shape[3]
    if geometry.window == (1, 1):
        (rows,), (columns,) = places(geometry, 0), places(geometry, 1)
        pixels = pad(images, geometry)[:, rows, columns].reshape(-1, channels)
        return (pixels.T @ output.reshape(-1, features)).reshape(1, 1, channels, features)
    if channels == 1 and features < LEAST_FEATURES_FOR_PRODUCTS:
        return library_form("kernel", geometry, images=images, output=output)
    if _suits_winograd(geometry, channels, features):
        of_chunk, chunk = _kernel_by_winograd, _winograd_chunk(geometry, len(images), channels, features)
    else:
        row_patches = math.prod(geometry.out_size) * geometry.window[1] * channels
        of_chunk = _kernel_at_once if _suits_one_product(geometry, channels, features) else _kernel_by_rows
        chunk = _chunk(len(images), row_patches, CHUNK_ELEMENTS)

    def add(total, chunk):
        return total + of_chunk(geometry, *chunk), None

    zeros = jnp.zeros((*geometry.window, channels, features), images.dtype)
    return jax.lax.scan(add, zeros, _in_chunks(chunk, images, output))[0]


def _kernel_by_rows(geometry, images, output):
    """One matrix product for each row of the window: [w C, pixels] times [pixels, O]."""
    row_patches = _row_patches(geometry, images)
    pixels = output.reshape(-1, output.shape[3])
    products = [row_patches[:, rows].reshape(len(pixels), -1).T @ pixels for rows in places(geometry, 0)]
    return jnp.stack(products).reshape(*geometry.window, images.shape[3], output.shape[3])


def _kernel_at_once(geometry, images, output):
    """All rows of the window in one product: [w C, pixels] times [pixels, h O], the output shifted to each row."""
    height, width = geometry.window
    row_patches = _row_patches(geometry, images)
    spare = row_patches.shape[1] - output.shape[1]
    tops = range(0, height * geometry.dilation[0], geometry.dilation[0])
    shifted = jnp.concatenate([jnp.pad(output, ((0, 0), (t, spare - t), (0, 0), (0, 0))) for t in tops], -1)
    products = row_patches.reshape(-1, row_patches.shape[3]).T @ shifted.reshape(-1, shifted.shape[3])
    return products.reshape(width, images.shape[3], height, output.shape[3]).transpose(2, 0, 1, 3)


def _row_patches(geometry, images):
    """The pixels under each row of the window, [B, H + 2 padding, W', w C]."""
    padded = pad(images, geometry)
    return jnp.concatenate([padded[:, :, columns] for columns in places(geometry, 1)], -1)


def _suits_one_product(geometry, channels, features):
    copies_of_output, copies_of_images = geometry.window[0] * features, geometry.window[1] * channels
    return geometry.stride[0] == 1 and copies_of_output <= MOST_COPIES_OF_OUTPUT * copies_of_images


def _kernel_by_winograd(geometry, images, output):
    kernel = jax.ShapeDtypeStruct((3, 3, images.shape[3], output.shape[3]), images.dtype)
    return jax.linear_transpose(lambda kernel: winograd(images, kernel, geometry.padding), kernel)(output)[0]


def _suits_winograd(geometry, channels, features):
    visits_each_pixel = geometry.stride == geometry.dilation == (1, 1)
    wide = min(channels, features) >= LEAST_CHANNELS_FOR_WINOGRAD
    return geometry.window == (3, 3) and visits_each_pixel and wide


def _winograd_chunk(geometry, batch, channels, features):
    tiles = 4 * math.prod(geometry.size) * max(channels, features)  # 16 numbers for every 2x2 pixels
    return _chunk(batch, tiles, WINOGRAD_CHUNK_ELEMENTS)


def _chunk(batch, elements_each, most_elements):
    """The largest number of images that divides the batch and has no more elements; at least one."""
    fitting = max(1, most_elements // elements_each)
    return max(n for n in range(1, batch + 1) if batch % n == 0 and n <= fitting)


def _map_chunks(chunk, function, images):
    """function(images), a few images at a time."""
    output = jax.lax.map(function, *_in_chunks(chunk, images))
    return output.reshape(len(images), *output.shape[2:])


def _in_chunks(chunk, *arrays):
    """Arrays [B, ...] as [B / chunk, chunk, ...]."""
    return [array.reshape(-1, chunk, *array.shape[1:]) for array in arrays]


DENSE = {"output": _output, "images": _images, "kernel": _kernel}
