"""The convolution of XLA, and with it of cuDNN and of the TPU, in all three roles."""

import jax

from jaxvision.ops.convolution.geometry import Geometry


def library_form(wanted: str, geometry: Geometry, **arrays: jax.Array) -> jax.Array:
    """`trilinear.convolve` by `lax.conv_general_dilated` and its transposes."""
    if wanted == "output":
        return _forward(geometry, **arrays)
    output = arrays.pop("output")
    unknown = jax.ShapeDtypeStruct(geometry.shape(wanted, output=output, **arrays), output.dtype)
    transposed = jax.linear_transpose(lambda array: _forward(geometry, **arrays, **{wanted: array}), unknown)
    return transposed(output)[0]


def _forward(geometry, *, images, kernel):
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        window_strides=geometry.stride,
        padding=[(pixels, pixels) for pixels in geometry.padding],
        rhs_dilation=geometry.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=geometry.groups,
        precision=geometry.precision,
    )
