import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops.position_encodings import resize_positions, sine_cosine_2d, sinusoidal_encoding
from tests.ops.numerics import assert_close, assert_differentiates, compiled, values_and_gradients

RANDOM = settings(max_examples=300, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)


@functools.cache
def our_sinusoids(width):
    return compiled(
        lambda positions: values_and_gradients(functools.partial(sinusoidal_encoding, width=width), positions)
    )


def sinusoid(position, feature, width):
    wave = math.sin if feature % 2 == 0 else math.cos
    return wave(position / 10_000 ** ((feature - feature % 2) / width))


@RANDOM
@given(shape=st.sampled_from([(1,), (7,), (2, 3)]), width=st.sampled_from([2, 6, 16]), seed=SEEDS)
def test_sinusoids_and_gradients_equal_the_formula(shape, width, seed):
    positions = np.random.default_rng(seed).uniform(0, 16, shape).astype(np.float32)
    rows = positions.astype(np.float64).reshape(-1, 1)
    expected = np.array([[sinusoid(p, i, width) for i in range(width)] for (p,) in rows])
    frequencies = np.repeat(10_000.0 ** (-np.arange(0, width, 2) / width), 2)
    # d sin = cos, d cos = -sin
    slopes = np.stack([expected[:, 1::2], -expected[:, ::2]], axis=-1).reshape(expected.shape) * frequencies
    gradient = (np.cos(np.arange(expected.size)).reshape(expected.shape) * slopes).sum(-1).reshape(shape)
    assert_close(our_sinusoids(width)(positions), (expected.reshape(*shape, width), (gradient,)))


@pytest.mark.parametrize("width", [2, 6, 16])
def test_derivatives_of_sinusoids(width):
    positions = np.random.default_rng(0).uniform(0, 100, (100, 3))
    assert_differentiates(lambda positions: sinusoidal_encoding(positions, width), positions)


def test_sinusoids_of_integers_by_hand():
    np.testing.assert_allclose(
        sinusoidal_encoding(jnp.arange(2), 4), [[0, 1, 0, 1], [0.841471, 0.540302, 0.0099998, 0.99995]], atol=1e-6
    )


@RANDOM
@given(grid=st.sampled_from([(1, 1), (5, 3), (2, 7)]), width=st.sampled_from([4, 12]), seed=SEEDS)
def test_sine_cosine_2d_equals_the_formula(grid, width, seed):
    height, columns = grid
    encoding = np.asarray(sine_cosine_2d(grid, width))
    assert (encoding.shape, encoding.dtype) == ((height * columns, width), np.float32)
    rng, quarter = np.random.default_rng(seed), width // 4
    row, column, i = (rng.integers(bound) for bound in (height, columns, quarter))
    frequency = 10_000 ** (-i / quarter)
    expected = [math.sin(column * frequency), math.cos(column * frequency)]
    expected += [math.sin(row * frequency), math.cos(row * frequency)]
    np.testing.assert_allclose(encoding[row * columns + column, i::quarter], expected, atol=1e-6)


@pytest.mark.parametrize(
    "encode", [lambda: sinusoidal_encoding(jnp.arange(3), 5), lambda: sine_cosine_2d((2, 2), 6)]
)
def test_widths_that_do_not_divide(encode):
    with pytest.raises(InputError, match="does not divide a width of"):
        encode()


RESIZES = [((3, 3), (5, 4)), ((4, 6), (2, 3)), ((2, 5), (3, 3)), ((4, 4), (7, 8)), ((3, 2), (3, 2))]
METHODS = ["bilinear", "bicubic"]
CLASS_TOKENS = [0, 1, 2]


def kernel(distance, method):
    x = abs(distance)
    if method == "bilinear":
        return max(0, 1 - x)
    if x < 1:  # Keys 1981 with a = -1/2
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def resizing_matrix(size, new_size, method):
    """[new_size, size]: a kernel, stretched where the picture shrinks, around every new centre."""
    step = size / new_size
    stretch = max(step, 1)
    rows = [
        [kernel(((new + 0.5) * step - old - 0.5) / stretch, method) for old in range(size)]
        for new in range(new_size)
    ]
    return np.array(rows) / np.sum(rows, axis=1, keepdims=True)


@functools.cache
def our_resizing(grid, new_grid, class_tokens, method):
    def resize(positions):
        return resize_positions(positions, grid, new_grid, class_tokens=class_tokens, method=method)

    return compiled(functools.partial(values_and_gradients, resize))


def draw_positions(grid, class_tokens, seed):
    size = (class_tokens + math.prod(grid), 3)
    return np.random.default_rng(seed).normal(size=size).astype(np.float32)


@RANDOM
@given(
    grids=st.sampled_from(RESIZES), class_tokens=st.sampled_from(CLASS_TOKENS), method=st.sampled_from(METHODS),
    seed=SEEDS,
)  # fmt: skip
def test_resized_positions_and_gradients_equal_the_matrix(grids, class_tokens, method, seed):
    (rows, columns), (new_rows, new_columns) = grids
    matrix = np.kron(resizing_matrix(rows, new_rows, method), resizing_matrix(columns, new_columns, method))
    whole = np.eye(class_tokens + new_rows * new_columns, class_tokens + rows * columns)
    whole[class_tokens:, class_tokens:] = matrix
    positions = draw_positions(grids[0], class_tokens, seed)
    expected = whole @ positions
    gradient = whole.T @ np.cos(np.arange(expected.size)).reshape(expected.shape)
    assert_close(our_resizing(*grids, class_tokens, method)(positions), (expected, (gradient,)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("grids", RESIZES)
def test_derivatives_of_resizing(grids, method):
    many = np.stack([draw_positions(grids[0], 1, seed) for seed in range(30)])
    assert_differentiates(jax.vmap(lambda positions: resize_positions(positions, *grids, method=method)), many)


def test_the_same_grid_and_half_precision():
    positions = jnp.asarray(draw_positions((3, 4), 1, 0), jnp.bfloat16)
    same = resize_positions(positions, (3, 4), (3, 4))
    assert same.dtype == jnp.bfloat16
    np.testing.assert_array_equal(same, positions)


def test_grids_that_do_not_fit():
    with pytest.raises(InputError, match=r"10 rows, expected 13 \(1 class tokens and a grid of 3x4\)"):
        resize_positions(jnp.zeros((10, 2)), (3, 4), (5, 5))


@pytest.mark.parity
@RANDOM
@given(grids=st.sampled_from(RESIZES), method=st.sampled_from(METHODS), seed=SEEDS)
def test_resized_positions_equal_torch(grids, method, seed):
    import torch

    positions = draw_positions(grids[0], 1, seed)
    tensor = torch.from_numpy(positions).requires_grad_()
    picture = tensor[1:].reshape(1, *grids[0], 3).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(picture, grids[1], mode=method, antialias=True)
    expected = torch.cat([tensor[:1], resized.permute(0, 2, 3, 1).reshape(-1, 3)])
    cotangent = torch.cos(torch.arange(expected.numel(), dtype=torch.float32)).reshape(expected.shape)
    gradients = torch.autograd.grad(expected, [tensor], cotangent)
    assert_close(our_resizing(*grids, 1, method)(positions), (expected.detach(), gradients))
