"""What the tests of convolution draw from: geometries of every kind, arrays for them, and XLA's own convolution."""

import functools
import random
from typing import NamedTuple
from unittest import mock

import jax
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from jaxvision.ops.convolution import conv2d, conv_transpose2d, cpu
from jaxvision.ops.output_size import output_sizes
from tests.ops.numerics import compiled


class Case(NamedTuple):
    """A geometry, and where the forms for the CPU change, so that small arrays see all of them."""

    size: tuple[int, int] = (5, 6)
    window: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    batch: int = 2
    channels: int = 4
    features: int = 4
    winograd_from: int = 1
    chunk_elements: int = 2**18

    @property
    def options(self):
        return {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}

    @property
    def out_size(self):
        options = {name: getattr(self, name) for name in ("stride", "padding", "dilation")}
        return output_sizes(self.size, self.window, **options)

    @property
    def output_padding(self):
        """What `conv_transpose2d` needs to give images of this size."""
        axes = zip(self.size, self.window, self.stride, self.padding, self.dilation)
        return tuple((n + 2 * p - d * (f - 1) - 1) % s for n, f, s, p, d in axes)

    @property
    def shapes(self):
        """Of images, kernel, output."""
        return (
            (self.batch, *self.size, self.channels),
            (*self.window, self.channels // self.groups, self.features),
            (self.batch, *self.out_size, self.features),
        )

    def conv2d(self, images, kernel):
        return conv2d(images, kernel, **self.options)

    def conv_transpose2d(self, output, kernel):
        return conv_transpose2d(output, kernel, output_padding=self.output_padding, **self.options)

    def lax(self, images, kernel):
        return jax.lax.conv_general_dilated(
            images,
            kernel,
            self.stride,
            [(pixels, pixels) for pixels in self.padding],
            rhs_dilation=self.dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=self.groups,
        )

    def compile(self, function, *shapes, dtype=np.float32):
        """`function` for arrays of these shapes, with this case's forms."""
        arrays = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes or self.shapes]
        bounds = {
            "CHUNK_ELEMENTS": self.chunk_elements,
            "WINOGRAD_CHUNK_ELEMENTS": self.chunk_elements,
            "LEAST_CHANNELS_FOR_WINOGRAD": self.winograd_from,
        }
        with mock.patch.multiple(cpu, **bounds):
            return compiled(function).lower(*arrays).compile()


def _random_case(rng):
    """The window fits for certain: each axis is large enough for it."""

    def pair(*choices):
        return rng.choice(choices), rng.choice(choices)

    window, stride, padding, dilation = pair(1, 2, 3, 4, 5), pair(1, 1, 2, 3), pair(0, 1, 2, 4), pair(1, 1, 2, 3)
    size = tuple(max(1, d * (f - 1) + 1 - 2 * p) + rng.randrange(6) for f, p, d in zip(window, padding, dilation))
    groups, batch = rng.choice((1, 1, 2, 3)), rng.choice((1, 3, 4))
    channels, features = groups * rng.choice((1, 2, 3)), groups * 2
    return Case(size, window, stride, padding, dilation, groups, batch, channels, features, chunk_elements=100)


_rng = random.Random(0)
CASES = [
    Case(),  # Winograd
    Case(size=(6, 5), padding=(0, 0), channels=3, features=5, batch=3, chunk_elements=300),  # image by image
    Case(size=(7, 3), padding=(2, 4), batch=4, groups=2, chunk_elements=400),  # two at a time
    Case(size=(3, 3), padding=(0, 0), features=1),
    Case(winograd_from=32, batch=4, chunk_elements=60),  # not Winograd
    Case(stride=(2, 2)),
    Case(stride=(2, 1), size=(7, 8), padding=(0, 3)),
    Case(window=(7, 7), stride=(2, 2), padding=(3, 3), size=(9, 8), channels=3, features=2),  # the first of ResNet
    Case(window=(4, 4), stride=(4, 4), padding=(0, 0), size=(9, 8)),  # patches of a ViT
    Case(window=(2, 1), stride=(3, 2), padding=(0, 0)),  # pixels in no window
    Case(window=(2, 2), padding=(3, 4), size=(1, 2)),  # windows on padding alone
    Case(dilation=(2, 2), padding=(2, 2)),
    Case(dilation=(2, 3), stride=(2, 1), padding=(2, 3), groups=2),
    Case(dilation=(2, 2), stride=(2, 2), padding=(2, 1)),
    Case(window=(1, 1), padding=(0, 0), features=3),
    Case(window=(1, 1), stride=(2, 3), padding=(1, 0)),
    Case(window=(1, 1), padding=(0, 0), groups=2, features=6),
    Case(groups=4),  # depthwise
    Case(groups=4, features=8, stride=(2, 2)),
    Case(groups=3, channels=3, features=6, window=(5, 4), padding=(2, 1), dilation=(1, 2)),
    Case(groups=2, stride=(2, 2)),
    Case(groups=2, channels=6, features=2, window=(3, 2)),
    Case(batch=1, channels=1, features=1),
    Case(size=(1, 9), window=(1, 3), padding=(0, 1)),
    *(_random_case(_rng) for _ in range(12)),
]
DEPTHWISE_CASES = [case for case in CASES if case.groups == case.channels]

many = settings(max_examples=300, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def draws(cases):
    return st.tuples(st.sampled_from(cases), seeds)


def random_arrays(seed, *shapes, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def in_both_directions(case, images, kernel, output):
    """Value and gradients of `conv2d` for the cotangent `output`, and of its transpose for `images`."""
    value, pullback = jax.vjp(case.conv2d, images, kernel)
    transposed, transposed_pullback = jax.vjp(case.conv_transpose2d, output, kernel)
    return (value, *pullback(output)), (transposed, *transposed_pullback(images))


def in_both_directions_by_lax(case, images, kernel, output):
    """The same: what transposes the convolution in its images is its gradient, and the other way round."""
    value, pullback = jax.vjp(case.lax, images, kernel)
    by_images, by_kernel = pullback(output)
    return (value, by_images, by_kernel), (by_images, value, by_kernel)


@functools.cache
def compiled_ours(case, dtype=np.float32):
    return case.compile(functools.partial(in_both_directions, case), dtype=dtype)


@functools.cache
def compiled_lax(case):
    return case.compile(functools.partial(in_both_directions_by_lax, case))
