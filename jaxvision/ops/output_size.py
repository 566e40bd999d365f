"""Convolution arithmetic: how large the output of a sliding window is, and how many numbers a convolution learns.

Along one axis N pixels are padded by P on both sides; a window of F pixels, D apart, moves by S pixels.
"""

from collections.abc import Sequence

from jaxvision.errors import InputError


def output_size(
    size: int, window: int, *, stride: int = 1, padding: int = 0, dilation: int = 1, strict: bool = False
) -> int:
    """(N + 2P - D(F - 1) - 1)/S + 1, rounded down: the last pixels may lie in no window.

    The number of places of the window along one axis, for convolution and pooling (Dumoulin & Visin 2016,
    relationships 6 and 15). Raises InputError where no window fits and, if `strict`, where S does not divide.
    """
    _require_positive(size=size, window=window, stride=stride, dilation=dilation)
    _require_padding(padding)
    span = size + 2 * padding - _extent(window, dilation)
    if span < 0 or (strict and span % stride):
        formula, taken = ("F", window) if dilation == 1 else ("D(F - 1) - 1", f"{dilation * (window - 1)} - 1")
        raise InputError(
            f"size {size} doesn't fit window {window}, stride {stride}, padding {padding}, dilation {dilation}: "
            f"(N + 2P - {formula})/S + 1 = ({size} + {2 * padding} - {taken})/{stride} + 1 "
            f"= {span / stride + 1:.2f}, expected {'a whole number' if span >= 0 else 'at least 1'}"
        )
    return span // stride + 1


def output_sizes(
    sizes: Sequence[int],
    window: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> tuple[int, int]:
    """(H', W') of sizes (H, W): `output_size` of both axes, each option an int or (h, w)."""
    options = (both_axes(option) for option in (window, stride, padding, dilation))
    height, width = (
        output_size(n, f, stride=s, padding=p, dilation=d) for n, f, s, p, d in zip(sizes, *options, strict=True)
    )
    return height, width


def transposed_output_size(
    size: int, window: int, *, stride: int = 1, padding: int = 0, dilation: int = 1, output_padding: int = 0
) -> int:
    """S(N - 1) + D(F - 1) + 1 - 2P + A: the inverse of `output_size` (Dumoulin & Visin 2016, relationship 14).

    A is `output_padding`, in [0, S): the S sizes that `output_size` maps to N are told apart by it. Raises
    InputError where A is not in that range or no such size exists.
    """
    _require_positive(size=size, window=window, stride=stride, dilation=dilation)
    _require_padding(padding)
    if not 0 <= output_padding < stride:
        raise InputError(f"output_padding: {output_padding}, expected at least 0 and less than stride {stride}")
    result = stride * (size - 1) + _extent(window, dilation) - 2 * padding + output_padding
    if result < 1:
        raise InputError(
            f"size {size} leaves nothing of window {window}, padding {padding}, dilation {dilation}: "
            f"S(N - 1) + D(F - 1) + 1 - 2P + A = {result}, expected at least 1"
        )
    return result


def same_padding(window: int, *, dilation: int = 1) -> int:
    """P = D(F - 1)/2, with which stride 1 keeps the size; raises InputError where that is no whole number."""
    _require_positive(window=window, dilation=dilation)
    if dilation * (window - 1) % 2:
        raise InputError(
            f"window {window}, dilation {dilation}: no padding equal on both sides keeps the size, "
            f"D(F - 1)/2 = {dilation * (window - 1) / 2}"
        )
    return dilation * (window - 1) // 2


def convolution_parameter_count(
    window: int | tuple[int, int], channels: int, features: int, *, groups: int = 1, bias: bool = True
) -> int:
    """h w (C / groups) O, and O biases; raises InputError where `groups` does not divide C and O."""
    height, width = both_axes(window)
    _require_positive(height=height, width=width, channels=channels, features=features, groups=groups)
    if channels % groups or features % groups:
        raise InputError(f"groups: {groups} does not divide {channels} channels and {features} features")
    return height * width * (channels // groups) * features + bias * features


def both_axes(option: int | Sequence[int]) -> tuple[int, int]:
    """(h, w) of an option that is given for each axis, or once for both."""
    if isinstance(option, Sequence):
        if len(option) != 2:
            raise InputError(f"{option!r}: expected an int or (h, w)")
        return tuple(option)
    return option, option


def _extent(window, dilation):
    """Pixels from the first to the last that a window looks at."""
    return dilation * (window - 1) + 1


def _require_positive(**options):
    for name, value in options.items():
        if value < 1:
            raise InputError(f"{name}: {value}, expected at least 1")


def _require_padding(padding):
    if padding < 0:
        raise InputError(f"padding: {padding}, expected at least 0")
