"""The compiled kernel against the forms that everybody has."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jaxvision.ops.convolution import onednn
from tests.ops.convolution.cases import CASES, Case, compiled_ours, draws, in_both_directions, many, random_arrays
from tests.ops.convolution.devices import LAYOUTS, over_two_devices, sums_and_gradients
from tests.ops.numerics import assert_close, compiled

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(
        not onednn.LIBRARY.exists(),
        reason="oneDNN kernel not built: JAXVISION_EXTRAS=onednn scripts/run scripts/build_onednn.py",
    ),
]
BATCHED = [case._replace(batch=i % 6) for i, case in enumerate(CASES)]


@pytest.fixture(autouse=True)
def wanted(monkeypatch):
    monkeypatch.delenv("JAXVISION_ONEDNN")


def calls(compiled):
    return compiled.as_text().count('custom_call_target="jaxvision_convolution"')


@functools.cache
def by_onednn(case):
    return case.compile(functools.partial(in_both_directions, case))


def by_pure_forms(case):
    with mock.patch.dict(os.environ, JAXVISION_ONEDNN="0"):
        return compiled_ours(case)


@many
@given(draws(BATCHED))
def test_equal_to_the_pure_forms(draw):
    case, seed = draw
    arrays = random_arrays(seed, *case.shapes)
    assert_close(by_onednn(case)(*arrays), by_pure_forms(case)(*arrays))


@pytest.mark.parametrize("case", [Case(), Case(groups=2)])
def test_it_is_what_computes(case):
    assert calls(by_onednn(case)) == 3  # what is common to both directions is computed once
    assert calls(by_pure_forms(case)) == 0


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float64])
def test_other_types_take_the_pure_forms(dtype):
    with jax.enable_x64(True):
        text = jax.jit(Case().conv2d).lower(*(jnp.zeros(shape, dtype) for shape in Case().shapes[:2])).as_text()
    assert "custom_call" not in text


def test_derivatives_and_mappings():
    case = Case()
    image_sets, kernels = random_arrays(0, *((2, *shape) for shape in case.shapes[:2]))

    def mapped(convolve):
        def loss(images, kernel):
            return jnp.sum(jnp.sin(convolve(images, kernel)))

        gradients = jax.grad(loss, (0, 1))

        def function(image_sets, kernels):
            arrays = (image_sets[0], kernels[0])
            return (
                jax.vmap(gradients)(image_sets, kernels),
                jax.vmap(gradients, (None, 0))(image_sets[0], kernels),
                jax.vmap(gradients, (0, None))(image_sets, kernels[0]),
                jax.jvp(gradients, arrays, (image_sets[1], kernels[1])),
            )

        return jax.jit(function).lower(image_sets, kernels).compile()

    assert calls(mapped(case.conv2d)) > 0
    assert_close(mapped(case.conv2d)(image_sets, kernels), mapped(case.lax)(image_sets, kernels))


def test_many_calls_at_once():
    """From more threads than there are cores, and each of them runs several convolutions."""
    cases = [Case(batch=batch, groups=groups) for batch in (1, 5) for groups in (1, 4)]
    arrays = [random_arrays(0, *case.shapes) for case in cases]
    expected = [by_onednn(case)(*of_case) for case, of_case in zip(cases, arrays)]

    def again(i):
        return jax.block_until_ready(by_onednn(cases[i % 4])(*arrays[i % 4]))

    with ThreadPoolExecutor(8) as threads:
        for i, result in enumerate(threads.map(again, range(400))):
            jax.tree.map(np.testing.assert_array_equal, result, expected[i % 4])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_device_equals_two(layout):
    case = Case(batch=4)
    arrays = random_arrays(0, *case.shapes[:2])
    reference = compiled(sums_and_gradients(case._replace(batch=4)))(*arrays)
    assert_close(over_two_devices(layout, sums_and_gradients(case), *arrays), reference)


def test_a_library_that_does_not_load(monkeypatch, tmp_path):
    monkeypatch.setattr(onednn, "LIBRARY", tmp_path / "lib.so")
    onednn.LIBRARY.write_bytes(b"not a library")
    with pytest.warns(UserWarning, match="convolutions do without oneDNN"):
        assert not onednn.is_loaded.__wrapped__()
