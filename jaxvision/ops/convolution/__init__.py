"""2-D convolution: cross-correlation, transposed and depthwise-separable, fast on every platform."""

from jaxvision.ops.convolution.functional import conv2d, conv_transpose2d, depthwise_separable_conv2d

__all__ = ["conv2d", "conv_transpose2d", "depthwise_separable_conv2d"]
