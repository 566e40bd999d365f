import re

import jax
import jax.numpy as jnp
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops.output_size import (
    both_axes,
    convolution_parameter_count,
    output_size,
    output_sizes,
    same_padding,
    transposed_output_size,
)

many = settings(max_examples=300, deadline=None, derandomize=True)
small = st.integers(1, 4)
geometries = st.fixed_dictionaries(
    {"window": st.integers(1, 5), "stride": small, "padding": st.integers(0, 3), "dilation": small}
)


def places(size, window, stride, padding, dilation):
    """First pixels of all windows whose last pixel is still on the padded axis."""
    padded = range(-padding, size + padding)
    return [first for first in padded[::stride] if first + dilation * (window - 1) in padded]


def smallest_transposed(size, geometry):
    """Pixels that `size` windows cover, less the padding; below 1 there may be fewer than `stride` inverses."""
    last = (size - 1) * geometry["stride"] + geometry["dilation"] * (geometry["window"] - 1)
    return last + 1 - 2 * geometry["padding"]


@many
@given(st.integers(1, 20), geometries)
def test_is_the_number_of_places_of_the_window(size, geometry):
    count = len(places(size, **geometry))
    if count == 0:
        with pytest.raises(InputError, match="doesn't fit"):
            output_size(size, **geometry)
    else:
        assert output_size(size, **geometry) == count


@many
@given(st.integers(1, 20), geometries)
def test_is_the_size_that_jax_gives(size, geometry):
    assume(places(size, **geometry))

    def convolve(images, kernel):
        pads = [(geometry["padding"],) * 2]
        return jax.lax.conv_general_dilated(
            images, kernel, [geometry["stride"]], pads, rhs_dilation=[geometry["dilation"]]
        )

    images, kernel = (jax.ShapeDtypeStruct((1, 1, n), jnp.float32) for n in (size, geometry["window"]))
    assert jax.eval_shape(convolve, images, kernel).shape[2] == output_size(size, **geometry)


@many
@given(st.integers(1, 20), geometries)
def test_strict_sizes_end_with_the_last_pixel(size, geometry):
    starts = places(size, **geometry)
    assume(starts)
    end = starts[-1] + geometry["dilation"] * (geometry["window"] - 1)
    if end == size + geometry["padding"] - 1:
        assert output_size(size, **geometry, strict=True) == len(starts)
    else:
        with pytest.raises(InputError, match="expected a whole number"):
            output_size(size, **geometry, strict=True)


@many
@given(st.integers(1, 10), geometries)
def test_transposed_sizes_are_all_that_give_the_size(size, geometry):
    assume(smallest_transposed(size, geometry) >= 1)
    inverse = [n for n in range(1, 80) if len(places(n, **geometry)) == size]
    assert inverse == [
        transposed_output_size(size, **geometry, output_padding=a) for a in range(geometry["stride"])
    ]


def test_numbers_of_the_course():
    assert output_size(7, 3) == 5
    assert output_size(7, 3, stride=2) == 3
    assert output_size(32, 5, padding=2) == 32
    assert convolution_parameter_count(5, 3, 10) == 760
    assert output_size(227, 11, stride=4, strict=True) == 55  # AlexNet
    assert transposed_output_size(16, 64, stride=32, padding=16) == 512  # FCN-32s


def test_strict_error_of_the_course():
    with pytest.raises(InputError, match=re.escape("(N + 2P - F)/S + 1 = (7 + 0 - 3)/3 + 1 = 2.33")):
        output_size(7, 3, stride=3, strict=True)
    assert output_size(7, 3, stride=3) == 2


def test_errors_show_dilation():
    formula = "(N + 2P - D(F - 1) - 1)/S + 1 = (4 + 2 - 6 - 1)/2 + 1 = 0.50, expected at least 1"
    with pytest.raises(InputError, match=re.escape(formula)):
        output_size(4, 4, stride=2, padding=1, dilation=2)


@pytest.mark.parametrize(("window", "dilation", "padding"), [(1, 1, 0), (3, 1, 1), (3, 2, 2), (5, 3, 6), (2, 2, 1)])
def test_same_padding(window, dilation, padding):
    assert same_padding(window, dilation=dilation) == padding
    assert output_size(9, window, padding=padding, dilation=dilation) == 9


def test_even_windows_have_no_same_padding():
    with pytest.raises(InputError, match=re.escape("D(F - 1)/2 = 1.5")):
        same_padding(4)


def test_parameters():
    assert convolution_parameter_count((1, 7), 8, 6, bias=False) == 7 * 8 * 6
    assert convolution_parameter_count(3, 32, 32, groups=32) == 9 * 32 + 32  # depthwise
    with pytest.raises(InputError, match="groups: 3 does not divide 32 channels"):
        convolution_parameter_count(3, 32, 6, groups=3)


def test_two_axes():
    assert output_sizes((7, 9), (3, 1), stride=(2, 1), padding=1, dilation=(1, 3)) == (4, 11)
    assert both_axes(3) == both_axes((3, 3)) == (3, 3)
    with pytest.raises(InputError, match=re.escape("(1, 2, 3): expected an int or (h, w)")):
        both_axes((1, 2, 3))


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"window": 0}, {"stride": 0}, {"padding": -1}, {"dilation": 0}], ids=str
)
def test_impossible_numbers(wrong):
    name, value = next(iter(wrong.items()))
    for function in (output_size, transposed_output_size):
        with pytest.raises(InputError, match=f"{name}: {value}, expected at least"):
            function(**{"size": 8, "window": 3, **wrong})


def test_impossible_transposes():
    with pytest.raises(InputError, match="output_padding: 2, expected at least 0 and less than stride 2"):
        transposed_output_size(4, 3, stride=2, output_padding=2)
    with pytest.raises(InputError, match="= 0, expected at least 1"):
        transposed_output_size(2, 3, padding=2)


@pytest.mark.parity
@many
@given(st.integers(1, 12), geometries)
def test_sizes_of_torch(size, geometry):
    import torch

    assume(places(size, **geometry))
    images, kernel = (torch.zeros(1, 1, n, device="meta") for n in (size, geometry["window"]))
    options = {name: geometry[name] for name in ("stride", "padding", "dilation")}
    assert output_size(size, **geometry) == torch.conv1d(images, kernel, **options).shape[2]
    if smallest_transposed(size, geometry) >= 1:
        options["output_padding"] = geometry["stride"] - 1
        torch_size = torch.conv_transpose1d(images, kernel, **options).shape[2]
        assert transposed_output_size(size, geometry["window"], **options) == torch_size
