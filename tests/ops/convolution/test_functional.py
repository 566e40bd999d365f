import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jaxvision.errors import InputError
from jaxvision.ops.convolution import conv2d, conv_transpose2d, depthwise_separable_conv2d
from jaxvision.ops.output_size import convolution_parameter_count
from tests.ops.convolution.cases import (
    CASES,
    DEPTHWISE_CASES,
    Case,
    compiled_lax,
    compiled_ours,
    draws,
    many,
    random_arrays,
)
from tests.ops.numerics import STEP, assert_close

POINTWISE_FEATURES = 3


@many
@given(draws(CASES))
def test_values_and_gradients_are_those_of_lax(draw):
    case, seed = draw
    arrays = random_arrays(seed, *case.shapes)
    assert_close(compiled_ours(case)(*arrays), compiled_lax(case)(*arrays))


@many
@given(draws(CASES))
def test_gradients_are_central_differences(draw):
    case, seed = draw
    arrays = random_arrays(seed, *case.shapes, dtype=np.float64)
    directions = random_arrays(seed + 1, *case.shapes, dtype=np.float64)
    with jax.enable_x64(True):
        convolve = compiled_ours(case, np.float64)
        here = convolve(*arrays)
        ahead, behind = (
            convolve(*(array + step * direction for array, direction in zip(arrays, directions)))
            for step in (STEP, -STEP)
        )
    images, kernel, output = range(3)
    for operator, operands, cotangent in [(0, (images, kernel), output), (1, (output, kernel), images)]:
        _, *gradients = here[operator]
        difference = np.vdot(arrays[cotangent], ahead[operator][0] - behind[operator][0]) / (2 * STEP)
        slope = sum(np.vdot(gradient, directions[operand]) for gradient, operand in zip(gradients, operands))
        assert abs(slope - difference) <= 1e-6 * max(abs(difference), 1)


def separable_shapes(case):
    """Of images, both kernels, output."""
    pointwise = (1, 1, case.features, POINTWISE_FEATURES)
    return (*case.shapes[:2], pointwise, (case.batch, *case.out_size, POINTWISE_FEATURES))


def separable(case, images, depthwise_kernel, pointwise_kernel):
    options = {name: option for name, option in case.options.items() if name != "groups"}
    return depthwise_separable_conv2d(images, depthwise_kernel, pointwise_kernel, **options)


def separable_by_lax(case, images, depthwise_kernel, pointwise_kernel):
    return jnp.einsum("bhwc,ijco->bhwo", case.lax(images, depthwise_kernel), pointwise_kernel)


@functools.cache
def compiled_separable(case, function, dtype=np.float32):
    def value_and_gradients(*arrays_and_cotangent):
        *arrays, cotangent = arrays_and_cotangent
        value, pullback = jax.vjp(functools.partial(function, case), *arrays)
        return value, pullback(cotangent)

    return case.compile(value_and_gradients, *separable_shapes(case), dtype=dtype)


@many
@given(draws(DEPTHWISE_CASES))
def test_depthwise_separable(draw):
    case, seed = draw
    arrays = random_arrays(seed, *separable_shapes(case))
    reference = compiled_separable(case, separable_by_lax)(*arrays)
    assert_close(compiled_separable(case, separable)(*arrays), reference)


@many
@given(draws(DEPTHWISE_CASES))
def test_depthwise_separable_gradients_are_central_differences(draw):
    case, seed = draw
    *arrays, cotangent = random_arrays(seed, *separable_shapes(case), dtype=np.float64)
    directions = random_arrays(seed + 1, *(array.shape for array in arrays), dtype=np.float64)
    with jax.enable_x64(True):
        convolve = compiled_separable(case, separable, np.float64)
        _, gradients = convolve(*arrays, cotangent)
        ahead, behind = (
            convolve(*(array + step * direction for array, direction in zip(arrays, directions)), cotangent)[0]
            for step in (STEP, -STEP)
        )
    difference = np.vdot(cotangent, ahead - behind) / (2 * STEP)
    slope = sum(map(np.vdot, gradients, directions))
    assert abs(slope - difference) <= 1e-6 * max(abs(difference), 1)


def test_by_hand():
    image = jnp.arange(1.0, 10).reshape(1, 3, 3, 1)  # 1 2 3 / 4 5 6 / 7 8 9
    kernel = jnp.array([[1.0, 0], [0, -2]]).reshape(2, 2, 1, 1)
    np.testing.assert_array_equal(conv2d(image, kernel)[0, :, :, 0], [[-9, -10], [-12, -13]])
    np.testing.assert_array_equal(conv2d(image, kernel, padding=1, stride=3)[0, :, :, 0], [[-2, 0], [0, 9]])
    np.testing.assert_array_equal(conv2d(image, kernel, dilation=2)[0, :, :, 0], [[-17]])
    sobel = jnp.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).reshape(3, 3, 1, 1)
    edges = [[9, 6, -9], [20, 8, -20], [21, 6, -21]]
    np.testing.assert_array_equal(conv2d(image, sobel, padding=1)[0, :, :, 0], edges)


def test_transpose_by_hand():
    image = jnp.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
    kernel = jnp.array([[1.0, 10], [100, 1000]]).reshape(2, 2, 1, 1)
    apart = [[1, 10, 2, 20], [100, 1000, 200, 2000], [3, 30, 4, 40], [300, 3000, 400, 4000]]
    np.testing.assert_array_equal(conv_transpose2d(image, kernel, stride=2)[0, :, :, 0], apart)
    overlapping = [[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]]
    np.testing.assert_array_equal(conv_transpose2d(image, kernel)[0, :, :, 0], overlapping)
    np.testing.assert_array_equal(conv_transpose2d(image, kernel, padding=1)[0, :, :, 0], [[1234]])
    longer = conv_transpose2d(image, kernel, stride=2, output_padding=(0, 1))
    np.testing.assert_array_equal(longer[0, :, :, 0], [[*row, 0] for row in apart])


def test_separable_by_hand():
    """Sum and difference over two pixels of two channels, then both mixed."""
    images = jnp.array([[1.0, 10], [2, 20], [4, 40]]).reshape(1, 1, 3, 2)
    depthwise_kernel = jnp.array([[1.0, -1], [1, 1]]).reshape(1, 2, 1, 2)
    mixed = depthwise_separable_conv2d(images, depthwise_kernel, jnp.array([1.0, 100]).reshape(1, 1, 2, 1))
    np.testing.assert_array_equal(mixed[0, 0, :, 0], [3 + 1000, 6 + 2000])


def test_the_layer_of_the_course():
    """[P]: 32x32x3, 10 filters 5x5, stride 1, pad 2."""
    images, kernel = jnp.ones((1, 32, 32, 3)), jnp.ones((5, 5, 3, 10))
    output = conv2d(images, kernel, padding=2)
    assert output.shape == (1, 32, 32, 10)
    assert kernel.size + output.shape[3] == convolution_parameter_count(5, 3, 10) == 760
    assert output[0, 16, 16, 0] == 75 and output[0, 0, 0, 0] == 27


def test_a_1x1_convolution_mixes_channels_only():
    (images,) = random_arrays(0, (2, 3, 4, 5))
    np.testing.assert_array_equal(conv2d(images, jnp.eye(5).reshape(1, 1, 5, 5)), images)
    shuffled = conv2d(images, jnp.eye(5)[::-1].reshape(1, 1, 5, 5))
    np.testing.assert_array_equal(shuffled, images[..., ::-1])


@pytest.mark.parametrize(
    ("case", "dtype"),
    [
        (Case(), jnp.bfloat16),
        (Case(), jnp.float16),
        (Case(stride=(2, 1)), jnp.bfloat16),
        (Case(groups=2), jnp.bfloat16),
        (Case(groups=4), jnp.float16),
    ],
)
def test_low_precision(case, dtype):
    """Sums are exact in float32: only what goes in and what comes out is rounded."""
    low = [jnp.asarray(array, dtype) for array in random_arrays(0, *case.shapes)]
    ours = compiled_ours(case, dtype)(*low)
    assert {array.dtype for array in jax.tree.leaves(ours)} == {jnp.dtype(dtype)}
    reference = compiled_lax(case)(*(array.astype(jnp.float32) for array in low))
    tolerance = 1.01 * float(jnp.finfo(dtype).eps) / 2
    assert_close(jax.tree.map(lambda array: np.asarray(array, np.float32), ours), reference, tolerance)


def test_types_are_promoted():
    images, kernel = jnp.ones((1, 3, 3, 1)), jnp.ones((2, 2, 1, 1))
    for low in (jnp.bfloat16, jnp.float16, jnp.int32, jnp.uint8):
        for arrays in ((images.astype(low), kernel), (images, kernel.astype(low))):
            for convolution in (conv2d, conv_transpose2d):
                assert jax.eval_shape(convolution, *arrays).dtype == jnp.float32
    assert jax.eval_shape(conv2d, images.astype(jnp.bfloat16), kernel.astype(jnp.float16)).dtype == jnp.float32
    assert conv2d(np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1))).dtype == jnp.float32  # numpy's float64 without x64
    with jax.enable_x64(True):
        assert jax.eval_shape(conv2d, images, np.ones((2, 2, 1, 1))).dtype == jnp.float64
    np.testing.assert_array_equal(conv2d(jnp.full((1, 2, 2, 1), 255, jnp.uint8), kernel), [[[[1020.0]]]])


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_batch_of_no_images(groups):
    case = Case(batch=0, groups=groups)
    images, kernel, output = (np.zeros(shape, np.float32) for shape in case.shapes)
    ours = compiled_ours(case)(images, kernel + 1, output)
    jax.tree.map(np.testing.assert_array_equal, ours, ((output, images, kernel), (images, output, kernel)))


@pytest.mark.parametrize(
    ("images", "kernel", "options", "message"),
    [
        ((5, 5, 3), (3, 3, 3, 4), {}, "images of shape [5, 5, 3], expected four axes"),
        ((1, 5, 5, 3), (3, 3, 4), {}, "kernel of shape [3, 3, 4], expected four axes"),
        ((1, 5, 5, 4), (3, 3, 3, 4), {}, "conv2d: images of 4 channels, kernel [3, 3, 3, 4], groups 1: expected a"),
        ((1, 5, 5, 4), (3, 3, 4, 4), {"groups": 2}, "expected a kernel [h, w, channels / groups, features]"),
        ((1, 5, 5, 4), (3, 3, 2, 3), {"groups": 2}, "with groups dividing channels and features"),
        ((1, 5, 5, 4), (3, 3, 4, 4), {"groups": 0}, "groups 0"),
        ((1, 5, 5, 3), (6, 3, 3, 4), {}, "size 5 doesn't fit window 6"),
        ((1, 5, 5, 3), (3, 3, 3, 4), {"dilation": (1, 3)}, "size 5 doesn't fit window 3"),
        ((1, 5, 5, 3), (3, 3, 3, 4), {"padding": -1}, "padding: -1, expected at least 0"),
        ((1, 5, 5, 3), (3, 3, 3, 4), {"stride": 0}, "stride: 0, expected at least 1"),
        ((1, 5, 5, 3), (3, 3, 3, 4), {"dilation": 0}, "dilation: 0, expected at least 1"),
        ((1, 5, 5, 3), (3, 3, 3, 4), {"stride": (1, 1, 1)}, "(1, 1, 1): expected an int or (h, w)"),
    ],
)
def test_impossible_convolutions(images, kernel, options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        conv2d(jnp.zeros(images), jnp.zeros(kernel), **options)


@pytest.mark.parametrize(
    ("kernel", "options", "message"),
    [
        ((3, 3, 4), {}, "kernel of shape [3, 3, 4], expected four axes"),
        ((3, 3, 4, 5), {}, "conv_transpose2d: images of 6 channels, kernel [3, 3, 4, 5], groups 1: expected"),
        ((3, 3, 2, 6), {"groups": 4}, "with groups dividing channels"),
        ((3, 3, 2, 6), {"groups": 0}, "groups 0"),
        ((3, 3, 4, 6), {"padding": -1}, "padding: -1, expected at least 0"),
        ((3, 3, 4, 6), {"padding": 4}, "size 5 leaves nothing of window 3, padding 4"),
        ((3, 3, 4, 6), {"stride": 2, "output_padding": 2}, "output_padding: 2, expected at least 0 and less than"),
        ((3, 3, 4, 6), {"output_padding": -1}, "output_padding: -1"),
    ],
)
def test_impossible_transposed_convolutions(kernel, options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        conv_transpose2d(jnp.zeros((1, 5, 5, 6)), jnp.zeros(kernel), **options)


@pytest.mark.parametrize(
    ("images", "depthwise_kernel", "pointwise_kernel", "message"),
    [
        ((5, 5, 4), (3, 3, 1, 4), (1, 1, 4, 2), "images of shape [5, 5, 4], expected four axes"),
        ((1, 5, 5, 4), (3, 3, 4), (1, 1, 4, 2), "depthwise_kernel of shape [3, 3, 4], expected four axes"),
        ((1, 5, 5, 4), (3, 3, 1, 4), (4, 2), "pointwise_kernel of shape [4, 2], expected four axes"),
        ((1, 5, 5, 4), (3, 3, 1, 4), (3, 3, 4, 2), "pointwise_kernel [3, 3, 4, 2], expected [1, 1, "),
        ((1, 5, 5, 4), (3, 3, 2, 4), (1, 1, 4, 2), "kernel [3, 3, 2, 4], groups 4"),
        ((1, 5, 5, 4), (3, 3, 1, 4), (1, 1, 3, 2), "images of 4 channels, kernel [1, 1, 3, 2], groups 1"),
    ],
)
def test_impossible_separable_convolutions(images, depthwise_kernel, pointwise_kernel, message):
    with pytest.raises(InputError, match=re.escape(message)):
        depthwise_separable_conv2d(*map(jnp.zeros, (images, depthwise_kernel, pointwise_kernel)))


def torch_value_and_gradients(function, *arrays_and_cotangent):
    """NHWC and [h, w, in, out] to torch's order of axes and back, which is the same permutation for both."""
    import torch

    *arrays, cotangent = (torch.tensor(array) for array in arrays_and_cotangent)
    for array in arrays:
        array.requires_grad_()
    value = function(*arrays)
    value.backward(cotangent)
    return (value.detach().numpy(), *(array.grad.numpy() for array in arrays))


def torch_conv2d(case, images, kernel):
    import torch

    output = torch.nn.functional.conv2d(images.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), **case.options)
    return output.permute(0, 2, 3, 1)


def torch_conv_transpose2d(case, output, kernel):
    import torch

    options = {**case.options, "output_padding": case.output_padding}
    images = torch.nn.functional.conv_transpose2d(output.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), **options)
    return images.permute(0, 2, 3, 1)


@pytest.mark.parity
@many
@given(draws(CASES))
def test_equal_to_torch(draw):
    case, seed = draw
    images, kernel, output = random_arrays(seed, *case.shapes)
    convolved, transposed = compiled_ours(case)(images, kernel, output)
    convolve, transpose = (functools.partial(of, case) for of in (torch_conv2d, torch_conv_transpose2d))
    assert_close(convolved, torch_value_and_gradients(convolve, images, kernel, output))
    assert_close(transposed, torch_value_and_gradients(transpose, output, kernel, images))


@pytest.mark.parity
@many
@given(draws(DEPTHWISE_CASES))
def test_separable_equal_to_torch(draw):
    case, seed = draw
    arrays = random_arrays(seed, *separable_shapes(case))

    def theirs(images, depthwise_kernel, pointwise_kernel):
        return torch_conv2d(Case(padding=(0, 0)), torch_conv2d(case, images, depthwise_kernel), pointwise_kernel)

    value, gradients = compiled_separable(case, separable)(*arrays)
    assert_close((value, *gradients), torch_value_and_gradients(theirs, *arrays))
