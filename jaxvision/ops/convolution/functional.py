"""The convolutions to call: plain, transposed, depthwise-separable."""

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.ops.convolution.geometry import Geometry
from jaxvision.ops.convolution.trilinear import convolve
from jaxvision.ops.output_size import both_axes, output_sizes, transposed_output_size

Pair = int | tuple[int, int]


def conv2d(
    images: jax.Array,
    kernel: jax.Array,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> jax.Array:
    """Cross-correlation with zero padding (Dumoulin & Visin 2016; what deep learning calls convolution).

    Equals `lax.conv_general_dilated` on every platform, and is that on GPU and TPU; on a CPU it takes the fastest
    form for the shapes at hand. Derivatives of any order and vmap over any argument are as fast.

    Args:
      images: [B, H, W, C].
      kernel: [h, w, C / groups, O]; features i O / groups and on see channels i C / groups and on.
      stride, padding, dilation: an int or (vertical, horizontal).

    Returns:
      [B, H', W', O] with H' = (H + 2 padding - dilation (h - 1) - 1) // stride + 1, of the promoted type.

    Raises:
      InputError: shapes that do not match, groups that do not divide C and O, a window larger than the images.
    """
    _require_rank_4(images=images, kernel=kernel)
    window, (inputs, features), channels = kernel.shape[:2], kernel.shape[2:], images.shape[3]
    if groups < 1 or inputs * groups != channels or features % groups:
        raise InputError(
            f"conv2d: images of {channels} channels, kernel {list(kernel.shape)}, groups {groups}: "
            "expected a kernel [h, w, channels / groups, features] with groups dividing channels and features"
        )
    stride, padding, dilation = both_axes(stride), both_axes(padding), both_axes(dilation)
    output_sizes(images.shape[1:3], window, stride=stride, padding=padding, dilation=dilation)  # or InputError
    precision = jax.config.jax_default_matmul_precision
    geometry = Geometry(images.shape[1:3], window, stride, padding, dilation, groups, precision)
    return convolve("output", geometry, **_of_one_type(images=images, kernel=kernel))


def conv_transpose2d(
    images: jax.Array,
    kernel: jax.Array,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> jax.Array:
    """The transpose of `conv2d` with the same options: its gradient with respect to its images (torch's form).

    Every pixel puts a multiple of the kernel onto the output, `stride` apart (Zeiler et al. 2010; "deconvolution").

    Args:
      images: [B, H, W, C].
      kernel: [h, w, O / groups, C], the kernel of the convolution that is transposed.
      output_padding: which of the `stride` sizes that convolve to H is meant, in [0, stride).

    Returns:
      [B, H', W', O] with H' = stride (H - 1) + dilation (h - 1) + 1 - 2 padding + output_padding.

    Raises:
      InputError: as `conv2d`, and for an output_padding out of range.
    """
    _require_rank_4(images=images, kernel=kernel)
    window, channels = kernel.shape[:2], images.shape[3]
    if groups < 1 or kernel.shape[3] != channels or channels % groups:
        raise InputError(
            f"conv_transpose2d: images of {channels} channels, kernel {list(kernel.shape)}, groups {groups}: "
            "expected a kernel [h, w, features / groups, channels] with groups dividing channels"
        )
    options = [both_axes(option) for option in (stride, padding, dilation, output_padding)]
    size = tuple(
        transposed_output_size(n, f, stride=s, padding=p, dilation=d, output_padding=a)
        for n, f, s, p, d, a in zip(images.shape[1:3], window, *options)
    )
    geometry = Geometry(size, window, *options[:3], groups, jax.config.jax_default_matmul_precision)
    return convolve("images", geometry, **_of_one_type(output=images, kernel=kernel))


def depthwise_separable_conv2d(
    images: jax.Array,
    depthwise_kernel: jax.Array,
    pointwise_kernel: jax.Array,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
) -> jax.Array:
    """A spatial convolution of every channel alone, then a 1x1 one that mixes them (Howard et al. 2017, 3.1).

    images [B, H, W, C], depthwise_kernel [h, w, 1, C m], pointwise_kernel [1, 1, C m, O] -> [B, H', W', O].
    Raises InputError as `conv2d`, and for any other pointwise kernel.
    """
    _require_rank_4(images=images, depthwise_kernel=depthwise_kernel, pointwise_kernel=pointwise_kernel)
    if pointwise_kernel.shape[:2] != (1, 1):
        raise InputError(f"pointwise_kernel {list(pointwise_kernel.shape)}, expected [1, 1, channels, features]")
    channels = images.shape[3]
    spatial = conv2d(images, depthwise_kernel, stride=stride, padding=padding, dilation=dilation, groups=channels)
    return conv2d(spatial, pointwise_kernel)


def _require_rank_4(**arrays):
    for name, array in arrays.items():
        if jnp.ndim(array) != 4:
            raise InputError(f"{name} of shape {list(jnp.shape(array))}, expected four axes")


def _of_one_type(**arrays):
    dtype = jnp.result_type(*arrays.values())
    return {role: jnp.asarray(array, dtype) for role, array in arrays.items()}
