import re
from collections import Counter

import jax
import jax.numpy as jnp
import pytest

from jaxvision.ops.convolution.geometry import ROLES, Geometry
from jaxvision.ops.convolution.trilinear import convolve
from tests.ops.convolution.cases import Case, random_arrays
from tests.ops.convolution.devices import LAYOUTS, over_two_devices, sums_and_gradients
from tests.ops.numerics import assert_close, compiled

MEMBERS = 2
TINY = {"size": (3, 4), "window": (2, 3), "channels": 2, "features": 2}
CASES = [
    Case(**TINY),
    Case(**TINY, stride=(1, 2), dilation=(2, 1)),
    Case(**{**TINY, "channels": 4, "features": 4}, groups=2),
    Case(**{**TINY, "features": 4}, groups=2),  # depthwise
]


def members(seed, *shapes):
    return random_arrays(seed, *((MEMBERS, *shape) for shape in shapes))


def derivatives(convolve, images, kernel, images_tangent, kernel_tangent, cotangent):
    """Every kind that JAX has."""
    arrays, tangents = (images, kernel), (images_tangent, kernel_tangent)

    def loss(images, kernel):
        return jnp.sum(jnp.sin(convolve(images, kernel)))

    def squared_gradient(images, kernel):
        return sum(jnp.sum(gradient**2) for gradient in jax.grad(loss, (0, 1))(images, kernel))

    return {
        "jvp": jax.jvp(convolve, arrays, tangents),
        "vjp": jax.vjp(convolve, *arrays)[1](cotangent),
        "linearize": jax.linearize(convolve, *arrays)[1](*tangents),
        "linear_transpose": jax.linear_transpose(lambda kernel: convolve(images, kernel), kernel)(cotangent),
        "jacobians": (jax.jacfwd(convolve, 1)(*arrays), jax.jacrev(convolve, 0)(*arrays)),
        "hessian": jax.hessian(loss, 1)(*arrays),
        "hessian-vector product": jax.jvp(jax.grad(loss, (0, 1)), arrays, tangents)[1],
        "gradient of the gradient": jax.grad(squared_gradient, (0, 1))(*arrays),
        "checkpoint": jax.grad(jax.checkpoint(loss), (0, 1))(*arrays),
    }


@pytest.mark.parametrize("case", CASES)
def test_derivatives(case):
    shapes = case.shapes
    arrays = random_arrays(0, *shapes[:2], *shapes)
    ours = compiled(lambda *arrays: derivatives(case.conv2d, *arrays))(*arrays)
    assert_close(ours, compiled(lambda *arrays: derivatives(case.lax, *arrays))(*arrays))


def mappings(convolve, images, kernel, image_sets, kernels):
    """`convolve` and its gradients, mapped over arrays that have a first axis more."""

    def loss(images, kernel):
        return jnp.sum(jnp.sin(convolve(images, kernel)))

    def scanned(images, kernels):
        return jax.lax.scan(lambda total, kernel: (total + loss(images, kernel), None), 0.0, kernels)[0]

    gradients = jax.grad(loss, (0, 1))
    last_and_third = (jnp.moveaxis(image_sets, 0, -1), jnp.moveaxis(kernels, 0, 2))
    return {
        "image sets": jax.vmap(convolve, (0, None))(image_sets, kernel),
        "kernels": jax.vmap(convolve, (None, 0))(images, kernels),
        "both": jax.vmap(convolve)(image_sets, kernels),
        "other axes": jax.vmap(convolve, (-1, 2), out_axes=1)(*last_and_third),
        "each image": jax.vmap(lambda image: convolve(image[None], kernel))(images),
        "all pairs": jax.vmap(jax.vmap(convolve, (0, None)), (None, 0))(image_sets, kernels),
        "nested": jax.vmap(jax.vmap(convolve))(image_sets[None], kernels[None]),
        "gradients for image sets": jax.vmap(gradients, (0, None))(image_sets, kernel),
        "gradients for kernels": jax.vmap(gradients, (None, 0))(images, kernels),
        "gradients for both": jax.vmap(jax.jit(gradients))(image_sets, kernels),
        "gradients of the sum": jax.grad(lambda *sets: jnp.sum(jax.vmap(loss)(*sets)), (0, 1))(image_sets, kernels),
        "Hessians": jax.vmap(jax.hessian(loss, 1))(image_sets, kernels),
        "scan": jax.value_and_grad(scanned, (0, 1))(images, kernels),
    }


@pytest.mark.parametrize("case", CASES)
def test_mappings(case):
    images, kernel = random_arrays(0, *case.shapes[:2])
    arrays = (images, kernel, *members(1, *case.shapes[:2]))
    ours = compiled(lambda *arrays: mappings(case.conv2d, *arrays))(*arrays)
    assert_close(ours, compiled(lambda *arrays: mappings(case.lax, *arrays))(*arrays))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("wanted", ROLES)
def test_every_operand_of_every_primitive_can_be_mapped(wanted, case):
    geometry = Geometry(case.size, case.window, case.stride, case.padding, case.dilation, case.groups)
    operands = [role for role in ROLES if role != wanted]
    single = dict(zip(ROLES, random_arrays(0, *case.shapes)))
    several = dict(zip(ROLES, members(1, *case.shapes)))

    def mapped_and_in_turn(role, single, several):
        def of(array):
            return convolve(wanted, geometry, **{**single, role: array})

        return jax.vmap(of)(several[role]), jnp.stack([of(array) for array in several[role]])

    function = compiled(lambda *arrays: [mapped_and_in_turn(role, *arrays) for role in operands])
    for mapped, in_turn in function(*({role: of[role] for role in operands} for of in (single, several))):
        assert_close(mapped, in_turn)


def value_and_gradients(convolve):
    def function(images, kernel, output):
        value, pullback = jax.vjp(convolve, images, kernel)
        return value, *pullback(output)

    return function


def lowered(function, shapes, *platforms):
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function).trace(*arrays).lower(lowering_platforms=platforms).as_text()


def operations(text):
    return Counter(re.findall(r"stablehlo\.(\w+)", text))


@pytest.mark.parametrize("platform", ["cuda", "rocm", "tpu"])
@pytest.mark.parametrize("case", [*CASES, Case(channels=64, features=64), Case(window=(1, 1)), Case(stride=(2, 2))])
def test_accelerators_see_nothing_but_the_convolutions_of_lax(case, platform):
    ours = lowered(value_and_gradients(case.conv2d), case.shapes, platform)
    assert ours == lowered(value_and_gradients(case.lax), case.shapes, platform)
    images, kernel, output = case.shapes
    transposed = lowered(value_and_gradients(case.conv_transpose2d), (output, kernel, images), platform)
    assert operations(transposed) == operations(ours)
    assert operations(ours)["convolution"] == 3
    assert not operations(ours).keys() & {"dot_general", "while", "custom_call", "pad", "slice"}


def test_a_population_is_one_convolution_on_accelerators():
    images, kernel, output = ((MEMBERS, *shape) for shape in Case().shapes)
    both = lowered(jax.vmap(value_and_gradients(Case().conv2d)), (images, kernel, output), "cuda")
    assert operations(both)["convolution"] == 3
    kernels = lowered(jax.vmap(Case().conv2d, (None, 0)), (images[1:], kernel), "cuda")
    assert operations(kernels)["convolution"] == 1 and "feature_group_count = 1 " in kernels


def test_two_platforms_at_once():
    text = lowered(value_and_gradients(Case().conv2d), Case().shapes, "cpu", "cuda")
    assert {"convolution", "dot_general", "case"} <= operations(text).keys()


def test_precision_is_that_of_the_call():
    def precise(*arrays):
        with jax.default_matmul_precision("highest"):
            return value_and_gradients(Case().conv2d)(*arrays)

    text = lowered(precise, Case().shapes, "cuda")
    assert text.count("precision HIGHEST") == 6 and "precision DEFAULT" not in text


def test_gradients_keep_nothing_alive_but_the_arrays():
    arrays = [jnp.asarray(array) for array in random_arrays(0, *CASES[0].shapes[:2])]
    _, pullback = jax.vjp(jax.jit(CASES[0].conv2d), *arrays)
    kept = {array.unsafe_buffer_pointer() for array in jax.tree.leaves(pullback)}
    assert kept == {array.unsafe_buffer_pointer() for array in arrays}


def test_without_jit():
    case = CASES[0]
    arrays = random_arrays(0, *case.shapes)
    with jax.disable_jit(), jax.enable_checks(True):
        ours = value_and_gradients(case.conv2d)(*arrays)
    assert_close(ours, compiled(value_and_gradients(case.lax))(*arrays))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", [Case(batch=4), Case(batch=4, groups=2, stride=(2, 1)), Case(batch=4, groups=4)])
def test_one_device_equals_two(layout, case):
    arrays = random_arrays(0, *case.shapes[:2])
    function = sums_and_gradients(case)
    assert_close(over_two_devices(layout, function, *arrays), compiled(function)(*arrays))


@pytest.mark.parametrize("batch", ["2", "any"])
def test_export(batch):
    case = CASES[0]
    (size,) = jax.export.symbolic_shape(batch)
    shapes = [(size, *case.shapes[0][1:]), case.shapes[1], (size, *case.shapes[2][1:])]
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    function = value_and_gradients(case.conv2d)
    exported = jax.export.export(jax.jit(function), platforms=("cpu", "cuda"))(*arrays)
    arrays = random_arrays(0, *case.shapes)
    assert_close(exported.call(*arrays), compiled(function)(*arrays))
