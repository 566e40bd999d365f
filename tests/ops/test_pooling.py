import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops.pooling import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    max_pool,
    max_pool_with_switches,
    sum_pool,
)
from tests.ops.numerics import KINK_DISTANCE, STEP, assert_close, compiled

BATCH, CHANNELS = 2, 3


class Pool(NamedTuple):
    """A geometry; `functions` are all the pools that have it."""

    size: tuple[int, int] = (5, 6)
    window: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (2, 2)
    padding: tuple[int, int] = (0, 0)
    ceil_mode: bool = False

    @property
    def options(self):
        return {"stride": self.stride, "padding": self.padding, "ceil_mode": self.ceil_mode}

    @property
    def functions(self):
        pools = {
            "max": max_pool,
            "sum": sum_pool,
            "avg": avg_pool,
            "avg of pixels": functools.partial(avg_pool, count_include_pad=False),
        }
        return {name: functools.partial(pool, window=self.window, **self.options) for name, pool in pools.items()}

    def windows(self, axis):
        """(start, end) of each window, cut where the padding ends."""
        size, window, stride, padding = (option[axis] for option in self[:4])
        end = size + padding
        starts = [start for start in range(-padding, end, stride) if start + window <= end]
        following = starts[-1] + stride if starts else -padding
        pixels_are_left = not starts or starts[-1] + window < end
        if self.ceil_mode and pixels_are_left and following < size:
            starts.append(following)
        return [(start, min(start + window, end)) for start in starts]


class AdaptivePool(NamedTuple):
    size: tuple[int, int]
    out: tuple[int, int]

    @property
    def functions(self):
        pools = {"max": adaptive_max_pool, "avg": adaptive_avg_pool}
        return {name: functools.partial(pool, size=self.out) for name, pool in pools.items()}

    def windows(self, axis):
        size, out = self.size[axis], self.out[axis]
        return [(math.floor(i * size / out), math.ceil((i + 1) * size / out)) for i in range(out)]


class GlobalPool(NamedTuple):
    size: tuple[int, int]

    @property
    def functions(self):
        pools = {"max": global_max_pool, "avg": global_avg_pool}
        return {name: lambda images, pool=pool: pool(images)[:, None, None] for name, pool in pools.items()}

    def windows(self, axis):
        return [(0, self.size[axis])]


POOLS = [
    Pool(),
    Pool(window=(2, 2)),
    Pool(padding=(1, 1)),
    Pool(padding=(1, 1), ceil_mode=True),
    Pool(ceil_mode=True),
    Pool(stride=(1, 1), padding=(1, 1)),
    Pool(window=(2, 3), stride=(1, 2), padding=(1, 0)),
    Pool(window=(3, 2), stride=(3, 1), padding=(0, 1), ceil_mode=True),
    Pool(window=(2, 2), stride=(3, 3)),
    Pool(window=(2, 2), stride=(3, 4), padding=(1, 1), ceil_mode=True),
    Pool(window=(1, 1), stride=(2, 3)),
    Pool(window=(1, 4), stride=(1, 4), padding=(0, 2), ceil_mode=True),
    Pool(window=(5, 5), stride=(2, 1), padding=(2, 2)),
    Pool(size=(2, 2), ceil_mode=True),  # one window, which overhangs
    Pool(size=(7, 8), window=(2, 2), padding=(1, 1), ceil_mode=True),  # a last window in the padding is dropped
    Pool(size=(7, 8), window=(6, 5)),  # from here on too large to be sliced
    Pool(size=(7, 8), window=(6, 6), stride=(1, 2), padding=(2, 3)),
    Pool(size=(7, 8), window=(6, 6), stride=(4, 5), padding=(3, 0), ceil_mode=True),
    Pool(size=(7, 8), window=(7, 8), stride=(7, 8)),
]
ADAPTIVE_POOLS = [
    AdaptivePool((6, 4), (3, 2)),
    AdaptivePool((7, 5), (3, 2)),
    AdaptivePool((5, 5), (5, 5)),
    AdaptivePool((3, 2), (5, 7)),
    AdaptivePool((9, 8), (4, 5)),
    AdaptivePool((8, 9), (1, 1)),
    AdaptivePool((13, 14), (2, 2)),
    AdaptivePool((1, 3), (2, 6)),
]
GLOBAL_POOLS = [GlobalPool((1, 1)), GlobalPool((2, 3)), GlobalPool((5, 1)), GlobalPool((7, 6))]
ALL_POOLS = [*POOLS, *ADAPTIVE_POOLS, *GLOBAL_POOLS]

kinds = pytest.mark.parametrize("cases", [POOLS, ADAPTIVE_POOLS, GLOBAL_POOLS], ids=["fixed", "adaptive", "global"])
many = settings(max_examples=300, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def random_images_and_cotangent(case, seed, *, tied=False, dtype=np.float32):
    rng = np.random.default_rng(seed)
    shape = (BATCH, *case.size, CHANNELS)
    images = rng.integers(0, 3, shape) if tied else rng.normal(-5, 1, shape)  # the zeros of a padding would win
    cotangent = rng.normal(size=(BATCH, len(case.windows(0)), len(case.windows(1)), CHANNELS))
    return images.astype(dtype), cotangent.astype(dtype)


def by_windows(case, images, cotangent):
    """Of each pool (value, gradient), window by window, and where the first maxima are."""
    values = {name: np.zeros_like(cotangent) for name in ("max", "sum", "avg", "avg of pixels")}
    gradients = {name: np.zeros_like(images) for name in values}
    switches = np.zeros(cotangent.shape, np.int32)
    for i, (top, bottom) in enumerate(case.windows(0)):
        for j, (left, right) in enumerate(case.windows(1)):
            inside = np.s_[:, max(top, 0) : bottom, max(left, 0) : right]
            pixels, weight = images[inside], cotangent[:, i : i + 1, j : j + 1]
            height, width = pixels.shape[1:3]
            divisors = {"sum": 1, "avg": (bottom - top) * (right - left), "avg of pixels": height * width}
            for name, divisor in divisors.items():
                values[name][:, i, j] = pixels.sum((1, 2)) / divisor
                gradients[name][inside] += weight / divisor
            flat = pixels.reshape(BATCH, -1, CHANNELS)
            values["max"][:, i, j], first = flat.max(1), flat.argmax(1)
            is_first = np.arange(height * width).reshape(1, -1, 1) == first[:, None]
            gradients["max"][inside] += weight * is_first.reshape(pixels.shape)
            row, column = max(top, 0) + first // width, max(left, 0) + first % width
            switches[:, i, j] = row * images.shape[2] + column
    return {name: (values[name], gradients[name]) for name in values}, switches


@functools.cache
def compiled_pools(case):
    """(images, cotangent) -> of each pool (value, gradient)."""

    def values_and_gradients(images, cotangent):
        pullbacks = {name: jax.vjp(pool, images) for name, pool in case.functions.items()}
        return {name: (value, *pullback(cotangent)) for name, (value, pullback) in pullbacks.items()}

    return compiled(values_and_gradients)


@functools.cache
def compiled_tangents(case):
    return compiled(
        lambda images, direction: {
            name: jax.jvp(pool, [images], [direction])[1] for name, pool in case.functions.items()
        }
    )


@kinds
@many
@given(st.data())
def test_values_and_gradients_window_by_window(cases, data):
    case, seed, tied = data.draw(st.tuples(st.sampled_from(cases), seeds, st.booleans()))
    images, cotangent = random_images_and_cotangent(case, seed, tied=tied)
    ours = compiled_pools(case)(images, cotangent)
    reference, _ = by_windows(case, images, cotangent)
    for name in ours:
        assert_close(ours[name], reference[name])


@kinds
@many
@given(st.data())
def test_derivatives_are_central_differences(cases, data):
    case, seed = data.draw(st.tuples(st.sampled_from(cases), seeds))
    direction, cotangent = random_images_and_cotangent(case, seed, tied=True, dtype=np.float64)
    rng = np.random.default_rng(seed)
    images = rng.permutation(direction.size).reshape(direction.shape) * KINK_DISTANCE  # far from all ties
    with jax.enable_x64(True):
        points = (images, images + STEP * direction, images - STEP * direction)
        here, ahead, behind = jax.device_get([compiled_pools(case)(point, cotangent) for point in points])
        tangents = jax.device_get(compiled_tangents(case)(images, direction))
    for name, (_, gradient) in here.items():
        difference = (ahead[name][0] - behind[name][0]) / (2 * STEP)
        assert tangents[name].dtype == gradient.dtype == np.float64
        assert_close(tangents[name], difference, 1e-6)
        assert_close(np.vdot(gradient, direction), np.vdot(cotangent, difference), 1e-6)


@functools.cache
def compiled_with_switches(case):
    """(images, cotangent) -> (value, gradient), switches."""

    def run(images, cotangent):
        pool = functools.partial(max_pool_with_switches, window=case.window, **case.options)
        value, pullback, switches = jax.vjp(pool, images, has_aux=True)
        return (value, *pullback(cotangent)), switches

    return compiled(run)


@many
@given(st.sampled_from(POOLS), seeds, st.booleans())
def test_switches_are_where_the_first_maxima_are(case, seed, tied):
    images, cotangent = random_images_and_cotangent(case, seed, tied=tied)
    ours, switches = compiled_with_switches(case)(images, cotangent)
    reference, where = by_windows(case, images, cotangent)
    assert_close(ours, reference["max"])
    assert switches.dtype == np.int32
    np.testing.assert_array_equal(switches, where)


@pytest.mark.parametrize("case", ALL_POOLS[::3])
def test_under_vmap_and_two_derivatives(case):
    """A pool P is linear near an image: the Hessian of |P x|**2 / 2 is P^T P."""
    images, _ = random_images_and_cotangent(case, 0)
    direction, _ = random_images_and_cotangent(case, 1)

    def measured(pool):
        stacked = jnp.stack([images, direction])
        gradient = jax.grad(lambda images: (pool(images) ** 2).sum() / 2)
        _, ours = jax.jvp(gradient, [images], [direction])
        (reference,) = jax.vjp(pool, images)[1](jax.jvp(pool, [images], [direction])[1])
        return (jax.vmap(pool)(stacked), ours), (jnp.stack([pool(images), pool(direction)]), reference)

    for ours, reference in compiled(lambda: [measured(pool) for pool in case.functions.values()])():
        assert_close(ours, reference)


@pytest.mark.parametrize("case", ALL_POOLS[::3])
def test_bfloat16(case):
    """Sums are those of float32, rounded once."""
    images = random_images_and_cotangent(case, 0)[0].astype(jnp.bfloat16)
    run = compiled(lambda images: {name: pool(images) for name, pool in case.functions.items()})
    ours, reference = run(images), run(images.astype(np.float32))
    for name in ours:
        assert ours[name].dtype == jnp.bfloat16
        np.testing.assert_array_equal(ours[name], reference[name].astype(jnp.bfloat16), err_msg=name)


def test_average_of_the_course():
    """o[r, c] = 1/9 sum of i[2r + k - 1, 2c + l - 1] over k, l = 0, 1, 2, with zeros outside."""
    image = np.random.default_rng(0).normal(size=(6, 7))

    def pixel(r, c):
        return image[r, c] if 0 <= r < 6 and 0 <= c < 7 else 0

    expected = [
        [sum(pixel(2 * r + k - 1, 2 * c + m - 1) for k in range(3) for m in range(3)) / 9 for c in range(4)]
        for r in range(3)
    ]
    ours = avg_pool(image.astype(np.float32).reshape(1, 6, 7, 1), 3, stride=2, padding=1)
    np.testing.assert_allclose(ours[0, :, :, 0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("window", [2, 6])
def test_gradient_of_ties_goes_to_the_first(window):
    gradient = jax.grad(lambda images: max_pool(images, window).sum())(jnp.zeros((1, window, window, 1)))
    np.testing.assert_array_equal(gradient.reshape(-1), [1] + [0] * (window**2 - 1))


@pytest.mark.parametrize("window", [2, 6])
@pytest.mark.parametrize("place", range(4))
def test_nan_is_not_hidden(window, place):
    image = jnp.arange(window**2, dtype=jnp.float32).at[place].set(jnp.nan).reshape(1, window, window, 1)
    for pool in (max_pool(image, window), adaptive_max_pool(image, 1), global_max_pool(image)):
        assert jnp.isnan(pool).all()


def test_infinities_stay_in_their_windows():
    image = jnp.arange(5.0).at[0].set(jnp.inf).at[4].set(-jnp.inf).reshape(1, 1, 5, 1)
    for pool in (adaptive_avg_pool(image, (1, 3)), adaptive_max_pool(image, (1, 3))):
        np.testing.assert_array_equal(np.isfinite(pool).reshape(-1), [False, True, pool[0, 0, 2, 0] == 3])


def test_switches_of_minus_infinity_lie_in_the_image():
    images = jnp.full((1, 4, 4, 1), -jnp.inf)
    _, switches = max_pool_with_switches(images, 3, stride=2, padding=1)
    np.testing.assert_array_equal(switches[0, :, :, 0], [[0, 1], [4, 5]])


def test_gradient_of_max_keeps_one_byte_for_each_window():
    images = jnp.zeros((1, 8, 8, 4))
    values, pullback = jax.vjp(lambda images: max_pool(images, 3, stride=2, padding=1), images)
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(pullback)) <= values.size + 64


@pytest.mark.parametrize(("window", "padding"), [(6, 0), (3, 2), (3, -1), (0, 0), ((3, 6), 0)])
@pytest.mark.parametrize("pool", [max_pool, sum_pool, avg_pool, max_pool_with_switches])
def test_impossible_windows(pool, window, padding):
    with pytest.raises(InputError, match="does not fit 5x5"):
        pool(jnp.zeros((1, 5, 5, 1)), window, padding=padding)


def test_impossible_input():
    images = jnp.zeros((1, 5, 5, 1))
    with pytest.raises(InputError, match="stride 0x0"):
        max_pool(images, 2, stride=0)
    with pytest.raises(InputError, match="a 7x7 window with stride 2x2 and padding 0x0 does not fit 5x5"):
        max_pool(images, 7, stride=2, ceil_mode=True)
    with pytest.raises(InputError, match="from 5x5 to 0x2, expected at least 1x1"):
        adaptive_avg_pool(images, (0, 2))
    for pool in (global_avg_pool, global_max_pool, lambda images: max_pool(images, 2)):
        with pytest.raises(InputError, match=r"images of shape \[5, 5, 1\], expected \[B, H, W, C\]"):
            pool(images[0])


def in_torch(case):
    """The functions of `case` on [B, C, H, W]."""
    import torch.nn.functional as F

    if isinstance(case, Pool):
        options = {"kernel_size": case.window, **case.options}
        return {
            "max": functools.partial(F.max_pool2d, **options),
            "avg": functools.partial(F.avg_pool2d, **options),
            "avg of pixels": functools.partial(F.avg_pool2d, count_include_pad=False, **options),
        }
    out = case.out if isinstance(case, AdaptivePool) else (1, 1)
    return {
        "max": functools.partial(F.adaptive_max_pool2d, output_size=out),
        "avg": functools.partial(F.adaptive_avg_pool2d, output_size=out),
    }


def channels_first(array):
    import torch

    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def channels_last(tensor):
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


@pytest.mark.parity
@kinds
@many
@given(st.data())
def test_values_and_gradients_are_those_of_torch(cases, data):
    import torch

    case, seed, tied = data.draw(st.tuples(st.sampled_from(cases), seeds, st.booleans()))
    images, cotangent = random_images_and_cotangent(case, seed, tied=tied)
    ours = compiled_pools(case)(images, cotangent)
    for name, pool in in_torch(case).items():
        leaf = channels_first(images).requires_grad_()
        value = pool(leaf)
        (gradient,) = torch.autograd.grad(value, leaf, channels_first(cotangent))
        assert_close(ours[name], (channels_last(value), channels_last(gradient)))


@pytest.mark.parity
@many
@given(st.sampled_from(POOLS), seeds, st.booleans())
def test_switches_are_those_of_torch(case, seed, tied):
    import torch.nn.functional as F

    images, cotangent = random_images_and_cotangent(case, seed, tied=tied)
    _, indices = F.max_pool2d(channels_first(images), case.window, return_indices=True, **case.options)
    np.testing.assert_array_equal(compiled_with_switches(case)(images, cotangent)[1], channels_last(indices))
