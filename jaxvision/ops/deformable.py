"""Deformable convolution: a kernel whose taps look where learnt offsets tell them to.

v1: Dai et al. 2017; v2, where a mask also weighs each tap: Zhu et al. 2019. The order of offsets and the zeros
outside the image are those of `torchvision.ops.deform_conv2d`.
"""

import functools
import math

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.ops.output_size import both_axes, output_sizes


@functools.partial(jax.jit, static_argnames=("stride", "padding", "dilation", "groups", "offset_groups"))
def deformable_conv2d(
    images: jax.Array,
    kernel: jax.Array,
    offsets: jax.Array,
    *,
    mask: jax.Array | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    offset_groups: int = 1,
) -> jax.Array:
    """y(p) = sum over taps k of w_k x(p + p_k + offset_k(p)) mask_k(p), with x interpolated bilinearly.

    Dai et al. 2017, eq. 2-4; with `mask` Zhu et al. 2019, eq. 1. images [B, H, W, C], kernel
    [h, w, C / groups, O] -> [B, H', W', O]. offsets [B, H', W', offset_groups h w 2] in pixels, in the order
    (group, row, column, (y, x)); mask [B, H', W', offset_groups h w], in v2 in [0, 1]. Channels are split evenly
    among the offset groups. Stride, padding, dilation are ints or (h, w). Zero offsets give the plain
    convolution. Raises InputError where shapes do not go together.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    _require_shapes(images, kernel, groups, offset_groups)
    batch, height, width, channels = images.shape
    window, features = kernel.shape[:2], kernel.shape[3]
    taps = window[0] * window[1]
    sizes = output_sizes((height, width), window, **options)
    _require_shape("offsets", offsets, (batch, *sizes, offset_groups * taps * 2))

    # H' and W' stay one axis: jaxlib 0.10.2 and 0.11.0 crash on the CPU where there are 7 (jax-ml/jax#39257).
    places = sizes[0] * sizes[1]
    offsets = offsets.reshape(batch, places, offset_groups, taps, 2)
    points = _tap_points(sizes, window, **options)[None, :, None] + offsets
    split = images.reshape(batch, height, width, offset_groups, channels // offset_groups)
    sampled = jax.vmap(bilinear_sample, in_axes=(3, 2), out_axes=3)(split, points)  # [B, H'W', taps, groups, C']
    if mask is not None:
        _require_shape("mask", mask, (batch, *sizes, offset_groups * taps))
        sampled *= mask.reshape(batch, places, offset_groups, taps).swapaxes(2, 3)[..., None]

    columns = sampled.reshape(batch * places, taps, groups, channels // groups)
    weights = kernel.reshape(taps, channels // groups, groups, features // groups)
    sums = jnp.promote_types(images.dtype, jnp.float32)
    convolved = jnp.einsum("ptgc,tcgo->pgo", columns, weights, preferred_element_type=sums)
    return convolved.reshape(batch, *sizes, features).astype(images.dtype)


@jax.jit
def bilinear_sample(images: jax.Array, points: jax.Array) -> jax.Array:
    """Images at fractional points: images [B, H, W, C], points [B, ..., 2] -> [B, ..., C].

    A point is (y, x) in pixels, finite, (0, 0) the centre of the first pixel. All around the image are pixels of
    zero (Dai et al. 2017, eq. 3-4). The derivative at a pixel's centre is the one towards the next pixel.
    """
    if images.ndim != 4 or points.ndim < 2 or points.shape[0] != images.shape[0] or points.shape[-1] != 2:
        raise InputError(
            f"bilinear_sample: images of shape {list(images.shape)} and points of shape {list(points.shape)}, "
            "expected [B, H, W, C] and [B, ..., 2]"
        )
    sampled = jax.vmap(_sample)(images, points.reshape(len(points), math.prod(points.shape[1:-1]), 2))
    return sampled.reshape(*points.shape[:-1], images.shape[-1])


def _sample(image, points):
    """image [H, W, C] at points [N, 2] -> [N, C]."""
    points = points.astype(jnp.promote_types(jnp.promote_types(points.dtype, image.dtype), jnp.float32))
    y, x = points[:, 0], points[:, 1]
    top, left = jnp.floor(y), jnp.floor(x)
    down, right = (y - top)[:, None], (x - left)[:, None]  # parts of a pixel, in [0, 1)
    height, width = image.shape[:2]
    padded = jnp.pad(image, ((1, 1), (1, 1), (0, 0)))

    def pixels(row, column):
        row = jnp.clip(row.astype(jnp.int32), -1, height) + 1
        column = jnp.clip(column.astype(jnp.int32), -1, width) + 1
        return padded.at[row, column].get(mode="promise_in_bounds")  # clipped: twice as fast as "fill"

    above = (1 - right) * pixels(top, left) + right * pixels(top, left + 1)
    below = (1 - right) * pixels(top + 1, left) + right * pixels(top + 1, left + 1)
    return ((1 - down) * above + down * below).astype(image.dtype)


def _tap_points(sizes, window, *, stride, padding, dilation):
    """p + p_k, where an undeformed kernel looks: [H' W', h w, 2], float32."""

    def along(size, taps, stride, padding, dilation):
        return jnp.arange(size)[:, None] * stride - padding + jnp.arange(taps)[None] * dilation

    options = map(both_axes, (stride, padding, dilation))
    rows, columns = (along(*of_axis) for of_axis in zip(sizes, window, *options))
    points = jnp.stack(jnp.broadcast_arrays(rows[:, None, :, None], columns[None, :, None]), axis=-1)
    return points.reshape(sizes[0] * sizes[1], window[0] * window[1], 2).astype(jnp.float32)


def _require_shapes(images, kernel, groups, offset_groups):
    shapes_of_four = images.ndim == kernel.ndim == 4
    if not shapes_of_four or kernel.shape[2] * groups != images.shape[3] or kernel.shape[3] % groups:
        raise InputError(
            f"deformable_conv2d: images of shape {list(images.shape)} and kernel of shape {list(kernel.shape)}, "
            f"expected [B, H, W, C] and [h, w, C / groups, O] with {groups} groups that divide C and O"
        )
    if offset_groups < 1 or images.shape[3] % offset_groups:
        raise InputError(f"offset_groups: {offset_groups} does not divide {images.shape[3]} channels")


def _require_shape(name, array, shape):
    if array.shape != shape:
        raise InputError(f"deformable_conv2d: {name} of shape {list(array.shape)}, expected {list(shape)}")
