import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops import initializers
from jaxvision.ops.initializers import (
    fans,
    he_normal,
    he_std,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    torch_default,
    uniform,
    xavier_normal,
    xavier_std,
    xavier_uniform,
    zeros,
)
from tests.ops.numerics import assert_close, compiled

IMPL = "unsafe_rbg"  # compiles faster than threefry
KEY = jax.random.key(7, impl=IMPL)
SHAPE = (3, 3, 64, 128)  # fan_in 576, fan_out 1152
EVERY = {  # initializer: variance of a kernel of SHAPE, largest magnitude in standard deviations
    "zeros": (zeros, 0, 0),
    "normal": (functools.partial(normal, std=0.3), 0.09, math.inf),
    "uniform": (functools.partial(uniform, bound=0.3), 0.03, math.sqrt(3)),
    "xavier_normal": (xavier_normal, 2 / 1728, math.inf),
    "xavier_uniform": (xavier_uniform, 2 / 1728, math.sqrt(3)),
    "xavier_uniform for tanh": (functools.partial(xavier_uniform, gain=5 / 3), 25 / 9 * 2 / 1728, math.sqrt(3)),
    "he_normal": (he_normal, 2 / 576, math.inf),
    "he_normal, fan_out": (functools.partial(he_normal, fan="out"), 2 / 1152, math.inf),
    "he_normal, leaky": (functools.partial(he_normal, slope=0.1), 2 / 1.01 / 576, math.inf),
    "he_normal, 4 groups, fan_out": (functools.partial(he_normal, fan="out", groups=4), 2 / 288, math.inf),
    "he_uniform": (he_uniform, 2 / 576, math.sqrt(3)),
    "lecun_normal": (lecun_normal, 1 / 576, 2 / 0.87962566),  # truncated at 2 of the whole Gaussian
    "lecun_uniform": (lecun_uniform, 1 / 576, math.sqrt(3)),
    "torch_default": (torch_default, 1 / 3 / 576, math.sqrt(3)),
    "torch_default of a bias": (functools.partial(torch_default, fan_in=64), 1 / 3 / 64, math.sqrt(3)),
}
every = pytest.mark.parametrize("name", EVERY)


@functools.cache
def samples():
    return jax.tree.map(np.asarray, compiled(lambda key: {name: EVERY[name][0](key, SHAPE) for name in EVERY})(KEY))


@every
def test_moments_of_73728_numbers(name):
    _, variance, _ = EVERY[name]
    sample = samples()[name].astype(np.float64)
    assert sample.shape == SHAPE
    np.testing.assert_allclose(sample.var(), variance, rtol=0.03)  # 0.5 % is one sigma of a Gaussian's variance
    assert abs(sample.mean()) <= 4 * math.sqrt(variance / sample.size)


@every
def test_bounds_are_reached_and_kept(name):
    _, variance, bound = EVERY[name]
    largest = np.abs(samples()[name]).max() / math.sqrt(variance or 1)
    if bound == math.inf:
        assert 4 < largest < 6  # 73,728 draws of a whole Gaussian
    else:
        assert 0.999 * bound <= largest <= bound * (1 + 1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_dtype_is_the_one_asked_for_and_the_key_decides(dtype):
    with jax.enable_x64(dtype == "float64"):
        draw = compiled(lambda key: {name: EVERY[name][0](key, (4, 4), dtype) for name in EVERY})
        first, second, other = (draw(key) for key in (KEY, KEY, jax.random.key(8, impl=IMPL)))
        for name in EVERY:
            assert first[name].dtype == dtype
            np.testing.assert_array_equal(first[name], second[name])
            assert name == "zeros" or (first[name] != other[name]).mean() > 0.8


def test_a_standard_deviation_may_be_traced():
    drawn = jax.vmap(lambda std: normal(KEY, (50,), jnp.bfloat16, std=std))(jnp.array([1.0, 2.0]))
    assert drawn.dtype == jnp.bfloat16
    np.testing.assert_array_equal(drawn[1], 2 * drawn[0])


def test_same_numbers_as_jax_where_it_is_the_same_thing():
    theirs = jax.nn.initializers
    pairs = [
        (xavier_uniform, theirs.glorot_uniform()),
        (xavier_normal, theirs.variance_scaling(1, "fan_avg", "normal")),
        (he_uniform, theirs.he_uniform()),
        (he_normal, theirs.variance_scaling(2, "fan_in", "normal")),
        (functools.partial(he_normal, fan="out"), theirs.variance_scaling(2, "fan_out", "normal")),
        (normal, theirs.normal(0.01)),
    ]
    drawn = compiled(lambda key: [[f(key, shape) for f in pair] for pair in pairs for shape in [(6, 10), SHAPE]])
    for ours, reference in drawn(KEY):
        assert_close(ours, reference, 1e-6)


def test_published_numbers():
    # He et al. 2015, 2.2, their model B: 3x3 filters, of which there are 64, 128, 256 and 512
    stds = [he_std((3, 3, filters, filters)) for filters in (64, 128, 256, 512)]
    np.testing.assert_allclose(stds, [0.059, 0.042, 0.029, 0.021], atol=6e-4)
    # Glorot & Bengio 2010, eq. 16
    assert xavier_std((784, 1000)) * math.sqrt(3) == pytest.approx(math.sqrt(6) / math.sqrt(1784))
    # He et al. 2015, 2.2: Xavier's std of a square layer is 1/√2 of He's, which stalls 30 layers
    assert xavier_std((3, 3, 64, 64)) / he_std((3, 3, 64, 64)) == pytest.approx(1 / math.sqrt(2))
    # He et al. 2015, below eq. 15: slope 1 is the linear case, Xavier's where fan_in = fan_out
    assert he_std((64, 64), slope=1) == pytest.approx(xavier_std((64, 64)))


def second_moment_after(layers, initializer, act, width=256):
    x = jax.random.normal(jax.random.key(0, impl=IMPL), (256, width))
    for layer in range(layers):
        x = act(x @ initializer(jax.random.fold_in(KEY, layer), (width, width)))
    return float(jnp.mean(x**2))


def test_he_keeps_what_xavier_halves():
    assert 0.5 < second_moment_after(20, he_normal, jax.nn.relu) < 2
    assert 0.5 < second_moment_after(20, he_uniform, jax.nn.relu) < 2
    assert 2.0**-21 < second_moment_after(20, xavier_normal, jax.nn.relu) < 2.0**-19
    leaky = functools.partial(jax.nn.leaky_relu, negative_slope=0.5)
    assert 0.5 < second_moment_after(20, functools.partial(he_normal, slope=0.5), leaky) < 2
    assert 0.5 < second_moment_after(20, xavier_uniform, lambda x: x) < 2


GEOMETRIES = [  # H, W, I, O, groups
    (1, 1, 4, 6, 1),
    (3, 3, 4, 6, 1),
    (3, 1, 4, 6, 2),
    (5, 3, 6, 3, 3),
    (3, 3, 4, 4, 4),  # depthwise
    (3, 3, 4, 8, 4),  # depthwise, multiplier 2
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_fans_count_connections(geometry):
    """With ones for weights and images, outputs are numbers of inputs, and gradients numbers of outputs."""
    height, width, inputs, outputs, groups = geometry
    kernel, images = np.ones((height, width, inputs // groups, outputs)), np.ones((1, 11, 11, inputs))

    def convolution(images):
        dimensions = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            images, jnp.asarray(kernel), (1, 1), "SAME", dimension_numbers=dimensions, feature_group_count=groups
        )

    @compiled
    def counts(images):
        return convolution(images)[0, 5, 5, 0], jax.grad(lambda x: convolution(x).sum())(images)[0, 5, 5, 0]

    assert fans(kernel.shape, groups=groups) == counts(images.astype(np.float32))


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2), (4, 2), (5, 3), (3, 1)])
def test_fans_of_transposed_convolutions(window, stride):
    kernel = jnp.ones((window, window, 4, 6))
    out = jax.lax.conv_transpose(
        jnp.ones((1, 9, 9, 4)), kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    period = out[0, 4 * stride : 5 * stride, 4 * stride : 5 * stride, 0]
    fan_in, fan_out = fans(kernel.shape, upsampling=stride)
    assert fan_in == pytest.approx(float(period.mean()))
    assert fan_out == window**2 * 6


def test_fans_of_linear_layers_and_other_ranks():
    assert fans((784, 10)) == (784, 10)
    assert fans((5, 3, 8)) == (15, 40)
    assert fans((2, 3, 4, 5, 6)) == (120, 144)
    assert fans((3, 4, 6), upsampling=2) == (6, 18)


DRAWS = st.sampled_from(["in", "out"]), st.floats(0, 1), st.integers(1, 3), st.integers(0, 2**32 - 1)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sampled_from([(12, 18), (6, 12), (3, 3, 4, 6), (5, 1, 2, 12), (2, 3, 1, 6)]),
    st.sampled_from([1, 2, 3, 6]),
    *DRAWS,
)
def test_kernels_are_scaled_noise(shape, groups, fan, slope, upsampling, seed):
    """Each kernel is the same N(0, 1) or U(-1, 1) draw, scaled by the paper's formula, here in numpy."""
    key = jax.random.key(seed, impl=IMPL)
    window = np.array(shape[:-2])
    fan_in, fan_out = np.prod(window / upsampling) * shape[-2], np.prod(window) * shape[-1] / groups
    layer = {"groups": groups, "upsampling": upsampling}
    he = np.sqrt(2 / ((1 + slope**2) * {"in": fan_in, "out": fan_out}[fan]))
    xavier = (1 + slope) * np.sqrt(2 / (fan_in + fan_out))
    gaussian, box = jax.random.normal(key, shape), jax.random.uniform(key, shape, minval=-1.0) * np.sqrt(3)
    for ours, expected in [
        (he_normal(key, shape, slope=slope, fan=fan, **layer), he * gaussian),
        (he_uniform(key, shape, slope=slope, fan=fan, **layer), he * box),
        (xavier_normal(key, shape, gain=1 + slope, **layer), xavier * gaussian),
        (xavier_uniform(key, shape, gain=1 + slope, **layer), xavier * box),
        (torch_default(key, shape, fan_in=fan_out), np.sqrt(1 / 3 / fan_out) * box),
    ]:
        np.testing.assert_allclose(ours / xavier, expected / xavier, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(), (5,), (3, 3, 0, 4), (3, 0)])
def test_impossible_shapes(shape):
    for initializer in (he_normal, xavier_uniform, torch_default):
        with pytest.raises(InputError, match=r"fans: shape \[.*\], expected \[I, O\]"):
            initializer(KEY, shape)


def test_impossible_options():
    for groups in (0, 4):
        with pytest.raises(InputError, match=f"fans: {groups} groups do not divide 6 outputs"):
            he_normal(KEY, (3, 3, 4, 6), groups=groups)
    with pytest.raises(InputError, match="upsampling 0, expected at least 1"):
        he_normal(KEY, (3, 3, 4, 6), upsampling=0)
    with pytest.raises(InputError, match="fan 'avg', expected 'in' or 'out'"):
        he_normal(KEY, (3, 3, 4, 6), fan="avg")


def test_every_public_name_is_tested():
    functions = {name for name, value in vars(initializers).items() if callable(value) and name.islower()}
    assert functions <= {name.split()[0].strip(",") for name in EVERY} | {"fans", "he_std", "xavier_std"}


@pytest.mark.parity
@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sampled_from([(1, 1), (3, 3), (5, 2)]),
    st.sampled_from([(4, 8), (8, 4), (6, 6)]),
    st.sampled_from([1, 2]),
    st.floats(0, 2),
)
def test_equal_to_torch(window, inputs_outputs, groups, slope):
    import torch

    inputs, outputs = inputs_outputs
    shape = (*window, inputs // groups, outputs)
    layer = torch.nn.Conv2d(inputs, outputs, window, groups=groups)
    assert fans(shape) == torch.nn.init._calculate_fan_in_and_fan_out(layer.weight)
    for fan in ("in", "out"):
        gain = torch.nn.init.calculate_gain("leaky_relu", slope)
        correct = torch.nn.init._calculate_correct_fan(layer.weight, f"fan_{fan}")
        assert he_std(shape, slope=slope, fan=fan) == pytest.approx(gain / math.sqrt(correct))


@pytest.mark.parity
def test_bounds_of_torch_layers():
    import torch

    transposed = torch.nn.ConvTranspose2d(64, 96, 3, groups=2)
    for layer, shape, options in [
        (torch.nn.Linear(300, 200), (300, 200), {}),
        (torch.nn.Conv2d(64, 96, 3), (3, 3, 64, 96), {}),
        (torch.nn.Conv2d(64, 96, 3, groups=2), (3, 3, 32, 96), {}),
        (transposed, (3, 3, 32, 96), {"fan_in": 3 * 3 * 96 / 2}),
    ]:
        ours = torch_default(KEY, shape, **options)
        bound = layer.weight.abs().max().item()
        assert jnp.abs(ours).max() == pytest.approx(bound, rel=2e-3)
        fan_in = options.get("fan_in", fans(shape)[0])
        bias = torch_default(KEY, (10_000,), fan_in=fan_in)
        assert layer.bias.abs().max().item() == pytest.approx(jnp.abs(bias).max().item(), rel=0.1)


@pytest.mark.parity
def test_variances_of_torch_initializers():
    import torch

    weight = torch.empty(128, 64, 3, 3)
    init = torch.nn.init
    for ours, theirs in [
        (xavier_uniform, init.xavier_uniform_),
        (xavier_normal, init.xavier_normal_),
        (he_uniform, functools.partial(init.kaiming_uniform_, nonlinearity="relu")),
        (he_normal, functools.partial(init.kaiming_normal_, nonlinearity="relu")),
        (
            functools.partial(he_normal, fan="out"),
            functools.partial(init.kaiming_normal_, mode="fan_out", nonlinearity="relu"),
        ),
        (torch_default, functools.partial(init.kaiming_uniform_, a=math.sqrt(5))),
    ]:
        expected = theirs(weight.clone()).std().item()
        assert ours(KEY, SHAPE).std().item() == pytest.approx(expected, rel=0.02)
