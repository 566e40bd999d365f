import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.errors import InputError
from jaxvision.ops.pooling import avg_pool, max_pool
from jaxvision.ops.receptive_field import Layer, ReceptiveField, analytic, effective, measured, union

CONV1, CONV3, POOL2, POOL3 = Layer(1), Layer(3, padding=1), Layer(2, stride=2), Layer(3, stride=2)
VGG16 = [layer for convs in (2, 2, 3, 3, 3) for layer in (*[CONV3] * convs, POOL2)]
ALEXNET = [Layer(11, stride=4), POOL3, Layer(5, padding=2), POOL3, CONV3, CONV3, CONV3, POOL3]


def mobilenet():
    """Its 3x3 layers; the others see one unit. "SAME" pads even sizes by nothing in front where the stride is 2."""
    strides = [2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    return analytic([Layer(3, stride=stride, padding=2 - stride) for stride in strides])


def resnet(units, *, strides):
    """Bottlenecks of four stages; `strides` are those of the first and the last unit of a stage, as (1x1, 3x3)."""
    field = analytic([Layer(7, stride=2, padding=3), POOL3])
    for stage, count in enumerate(units):
        for unit in range(count):
            first, second = strides(stage, unit, count)
            residual = [Layer(1, stride=first), Layer(3, stride=second, padding=1), CONV1]
            shortcut = analytic([Layer(1, stride=first * second)], of=field)
            field = union(analytic(residual, of=field), shortcut)
    return field


def slim_strides(stage, unit, count):
    """TF-Slim's: the last unit of a stage goes down, with its 3x3."""
    return 1, 2 if stage < 3 and unit == count - 1 else 1


def torchvision_strides(stage, unit, count):
    """The first unit of a stage goes down, with its 3x3."""
    return 1, 2 if stage > 0 and unit == 0 else 1


def inception_v3():
    """Szegedy et al. 2016, along one axis, where a 7x1 is a 1."""
    same = {k: Layer(k, padding=k // 2) for k in (1, 3, 5, 7)}

    def block(field, *branches):
        return union(*(analytic(branch, of=field) for branch in branches))

    field = analytic([Layer(3, stride=2), Layer(3), same[3], POOL3, CONV1, Layer(3), POOL3])
    for _ in range(3):
        field = block(field, [CONV1], [CONV1, same[5]], [CONV1, same[3], same[3]], [same[3], CONV1])
    field = block(field, [POOL3], [CONV1, same[3], POOL3], [POOL3])
    for _ in range(4):
        field = block(field, [CONV1], [CONV1, CONV1, same[7]], [CONV1, same[7], CONV1, same[7], CONV1], [same[3]])
    field = block(field, [CONV1, POOL3], [CONV1, CONV1, same[7], POOL3], [POOL3])
    for _ in range(2):
        field = block(field, [CONV1], [CONV1, same[3]], [CONV1, CONV1], [CONV1, same[3], same[3]], [same[3], CONV1])
    return field


@pytest.mark.parametrize(
    ("field", "size", "stride", "padding"),
    [  # Araujo et al. 2019, the table of modern networks
        (analytic(ALEXNET), 195, 32, 64),
        (analytic(VGG16), 212, 32, 90),
        (mobilenet(), 315, 32, 126),
        (resnet((3, 4, 6, 3), strides=slim_strides), 483, 32, 239),
        (resnet((3, 4, 23, 3), strides=slim_strides), 1027, 32, 511),
        (resnet((3, 8, 36, 3), strides=slim_strides), 1507, 32, 751),
        (inception_v3(), 1311, 32, 618),
    ],
    ids=["alexnet_v2", "vgg16", "mobilenet_v1", "resnet50", "resnet101", "resnet152", "inception_v3"],
)
def test_published(field, size, stride, padding):
    assert field == ReceptiveField(size, stride, start=-padding)


def test_resnet50_with_the_strides_of_torchvision_sees_less():
    assert resnet((3, 4, 6, 3), strides=torchvision_strides).size == 427


def test_three_3x3_see_7x7():
    field = analytic([Layer(3)] * 3)
    assert field == (7, 1, 0)
    assert field == analytic([Layer(7)])


def test_intervals_and_centres_by_hand():
    field = analytic([Layer(3, stride=2, padding=1)])
    assert [field.interval(i) for i in range(3)] == [(-1, 1), (1, 3), (3, 5)]
    assert [field.centre(i) for i in range(3)] == [0, 2, 4]
    field = analytic([(3, 2, 1), (2, 2)])  # the units of the pool see two of these
    assert [field.interval(i) for i in range(2)] == [(-1, 3), (3, 7)]
    assert analytic([POOL2]).centre(0) == 0.5
    assert analytic([]) == (1, 1, 0)


def test_dilation_widens_the_window():
    assert analytic([Layer(3, dilation=d) for d in (1, 2, 4, 8)]).size == 31  # Yu & Koltun 2016: 2^(i+2) - 1
    assert analytic([Layer(4, 2, 3, dilation=3), Layer(3, 1, 1)]) == analytic([Layer(10, 2, 3), Layer(3, 1, 1)])


def test_layers_may_be_added_later():
    assert analytic(VGG16[5:], of=analytic(VGG16[:5])) == analytic(VGG16)


def test_union_reaches_from_the_first_start_to_the_last_end():
    assert union(ReceptiveField(3, 2, -1), ReceptiveField(4, 2, 1)) == (6, 2, -1)
    with pytest.raises(InputError, match=r"branches of strides \[1, 2\], expected equal ones"):
        union(ReceptiveField(3, 1, 0), ReceptiveField(3, 2, 0))


@pytest.mark.parametrize("layer", [(0,), (3, 0), (3, 1, -1), (3, 1, 1, 0)])
def test_impossible_layers(layer):
    with pytest.raises(InputError, match=r"Layer\(window=.*expected padding >= 0 and the others >= 1"):
        analytic([(3,), layer])


def convolution(x, kernel, rows, columns):
    """Cross-correlation whose two axes are layers of their own."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (rows.stride, columns.stride),
        [(layer.padding, layer.padding) for layer in (rows, columns)],
        rhs_dilation=(rows.dilation, columns.dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def make_stack(layers, rng, *, channels=1, image_channels=1, act=lambda x: x):
    """images -> features after convolutions of normally distributed kernels, each followed by `act`."""
    widths = [image_channels] + [channels] * len(layers)
    kernels = [
        rng.normal(size=(rows.window, columns.window, *widths[i : i + 2])).astype(np.float32)
        for i, (rows, columns) in enumerate(layers)
    ]

    def stack(images):
        for kernel, (rows, columns) in zip(kernels, layers):
            images = act(convolution(images, kernel, rows, columns))
        return images

    return stack


def inner_position(rng, fields, f, image_shape):
    """A unit whose receptive field lies in the image; beyond the border measured boxes end earlier."""
    sizes = jax.eval_shape(f, np.zeros((1, *image_shape), np.float32)).shape[1:3]
    inner = [
        [i for i in range(size) if field.interval(i)[0] >= 0 and field.interval(i)[1] < pixels]
        for field, size, pixels in zip(fields, sizes, image_shape)
    ]
    return tuple(int(rng.choice(positions)) for positions in inner)


LAYERS = st.builds(Layer, st.integers(1, 4), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2))
STACKS = st.lists(st.tuples(LAYERS, LAYERS), min_size=1, max_size=3)
SEEDS = st.integers(0, 2**32 - 1)
IMAGE = (52, 52, 1)  # the largest stack sees 43 pixels and moves in steps of 8


@settings(max_examples=300, deadline=None, derandomize=True)
@given(STACKS, SEEDS)
def test_random_stacks_measure_what_was_computed(layers, seed):
    rng = np.random.default_rng(seed)
    fields = [analytic(axis) for axis in zip(*layers)]
    f = make_stack(layers, rng)
    position = inner_position(rng, fields, f, IMAGE)
    expected = tuple(field.interval(i) for field, i in zip(fields, position))
    assert measured(f, IMAGE, position, draws=1, seed=seed) == expected


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(LAYERS, max_size=8))
def test_recurrence_equals_the_closed_form(layers):
    """Araujo et al. 2019: r_0 = 1 + Σ (k_l - 1) Π_{i<l} s_i, P_0 = Σ p_l Π_{i<l} s_i, S_0 = Π s_l."""
    strides = np.cumprod([1, *(layer.stride for layer in layers)])
    windows = np.array([layer.dilation * (layer.window - 1) for layer in layers])
    paddings = np.array([layer.padding for layer in layers])
    assert analytic(layers) == (1 + windows @ strides[:-1], strides[-1], -paddings @ strides[:-1])


@settings(max_examples=20, deadline=None, derandomize=True)
@given(STACKS, st.sampled_from([jax.nn.relu, jnp.tanh]), SEEDS)
def test_kinks_hide_nothing(layers, act, seed):
    rng = np.random.default_rng(seed)
    fields = [analytic(axis) for axis in zip(*layers)]
    f = make_stack(layers, rng, channels=4, act=act)
    position = inner_position(rng, fields, f, IMAGE)
    assert measured(f, IMAGE, position) == tuple(field.interval(i) for field, i in zip(fields, position))


@settings(max_examples=10, deadline=None, derandomize=True)
@given(LAYERS, SEEDS)
def test_maxima_hide_nothing(layer, seed):
    rng = np.random.default_rng(seed)
    convolutions = make_stack([(layer, layer)], rng, channels=8)

    def f(images):
        return max_pool(max_pool(convolutions(images), 3, stride=2), 2)

    field = analytic([layer, POOL3, POOL2])
    position = inner_position(rng, (field, field), f, IMAGE)
    assert measured(f, IMAGE, position) == tuple(field.interval(i) for i in position)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 2), st.integers(0, 3), st.integers(0, 3), st.booleans(), SEEDS)
def test_branches_measure_what_was_computed(stride, first, second, concatenated, seed):
    """Two branches of odd windows, so that their features have one size and can be added."""
    rng = np.random.default_rng(seed)
    layers = [Layer(2 * half + 1, stride, half) for half in (first, second)]
    stem, left, right = (make_stack([(layer, layer)], rng) for layer in (CONV3, *layers))

    def f(images):
        x = stem(images)
        return jnp.concatenate([left(x), right(x)], axis=-1) if concatenated else left(x) + right(x)

    field = union(*(analytic([CONV3, layer]) for layer in layers))
    position = inner_position(rng, (field, field), f, IMAGE)
    assert measured(f, IMAGE, position, draws=1) == tuple(field.interval(i) for i in position)


def test_padding_and_images_cut_the_measured_field():
    f = make_stack([(CONV3, CONV3)] * 2, np.random.default_rng(0))
    assert measured(f, (9, 7, 1), (0, 6), draws=1) == ((0, 2), (4, 6))
    assert measured(f, (3, 3, 1), (1, 1), draws=1) == ((0, 2), (0, 2))


def test_vgg16_sees_212_pixels_of_224():
    """The whole network, ReLU and max-pooling included, of 8 channels."""
    rng = np.random.default_rng(0)
    stages = [
        make_stack([(CONV3, CONV3)] * convs, rng, channels=8, image_channels=channels, act=jax.nn.relu)
        for convs, channels in zip((2, 2, 3, 3, 3), (1, 8, 8, 8, 8))
    ]

    def f(images):
        return functools.reduce(lambda x, stage: max_pool(stage(x), 2), stages, images)

    assert measured(f, (224, 224, 1), (3, 3), draws=8) == ((6, 217), (6, 217))
    assert analytic(VGG16).interval(3) == (6, 217)


def test_effective_field_of_averages_is_a_binomial():
    """Two 3x3 averages pass on 1, 2, 3, 2, 1 ninths along each axis (Luo et al. 2016, 2.2: the box, convolved)."""

    def f(images):
        return avg_pool(avg_pool(images, 3, stride=1), 3, stride=1)

    field = np.asarray(effective(f, (9, 8, 1), (2, 1), draws=3))
    expected = np.zeros((9, 8))
    expected[2:7, 1:6] = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1])
    np.testing.assert_allclose(field / field.max() * 9, expected, rtol=1e-5)


@pytest.mark.parametrize(("layers", "window"), [(2, 3), (8, 3), (3, 5)])
def test_effective_field_is_a_gaussian_that_grows_with_the_root_of_depth(layers, window):
    """Luo et al. 2016, 2.2: the standard deviation is √(n (k² - 1) / 12) pixels for n uniform kernels of k x k."""
    radius = layers * (window // 2)
    size = 2 * radius + 1

    def f(images):
        return functools.reduce(lambda x, _: avg_pool(x, window, stride=1), range(layers), images)

    field = np.asarray(effective(f, (size, size, 1), (0, 0), draws=1), np.float64)
    rows = field.sum(axis=1) / field.sum()
    variance = rows @ np.arange(-radius, radius + 1) ** 2
    np.testing.assert_allclose(variance, layers * (window**2 - 1) / 12, rtol=1e-5)
    assert measured(f, (size, size, 1), (0, 0), draws=1) == ((0, size - 1),) * 2


def test_effective_field_of_a_known_kernel():
    """The mean over draws and image channels of |w_hw . v|, v ~ N(0, 1): √(2/π) times the norm of w_hw."""
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 5)).astype(np.float32)
    f = functools.partial(convolution, kernel=kernel, rows=Layer(3), columns=Layer(3))
    field = effective(f, (5, 5, 2), (1, 1), draws=20_000)
    expected = np.sqrt(2 / np.pi) * np.linalg.norm(kernel, axis=3).mean(axis=2)
    np.testing.assert_allclose(field[1:4, 1:4], expected, rtol=0.02)
    assert jnp.sum(field > 0) == 9


def test_seeds_decide():
    f = make_stack([(CONV3, CONV3)], np.random.default_rng(0), channels=2, act=jnp.tanh)
    first, second, other = (effective(f, (5, 5, 1), (2, 2), seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_half_precision():
    f = make_stack([(CONV3, CONV3)] * 2, np.random.default_rng(0), channels=2)

    def half(images):
        return f(images.astype(jnp.bfloat16).astype(jnp.float32)).astype(jnp.bfloat16)

    assert measured(half, (9, 9, 1), (4, 4)) == ((2, 6), (2, 6))


@pytest.mark.parametrize("position", [(5, 0), (0, 4), (-1, 0)])
def test_positions_outside(position):
    with pytest.raises(InputError, match=r"position .* in features of shape \[16, 5, 4, 1\], expected"):
        measured(lambda images: images, (5, 4, 1), position)


def test_features_that_are_no_maps():
    with pytest.raises(
        InputError, match=r"features of shape \[16, 20\], expected \(row, column\) in \[B, H, W, D\]"
    ):
        effective(lambda images: images.reshape(len(images), -1), (5, 4, 1), (0, 0))


def test_no_gradient():
    with pytest.raises(InputError, match=r"no gradient from \(1, 1\) reached the images in 16 draws"):
        measured(jnp.sign, (5, 4, 1), (1, 1))
