"""Which form is taken: that all of them are right is what test_functional.py shows."""

import re
from collections import Counter

import jax
import jax.numpy as jnp
import pytest

from jaxvision.ops.convolution import cpu
from tests.ops.convolution.cases import Case

WIDE = {"channels": 32, "features": 32}


def operations(wanted, case):
    """Of the convolution or of one of its gradients, as XLA gets it for a CPU."""

    def function(images, kernel, output):
        if wanted == "output":
            return case.conv2d(images, kernel)
        return dict(zip(("images", "kernel"), jax.vjp(case.conv2d, images, kernel)[1](output)))[wanted]

    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in case.shapes]
    text = jax.jit(function).lower(*arrays).as_text()
    return Counter(re.findall(r"stablehlo\.(\w+)", text)), text


@pytest.mark.parametrize("wanted", ["output", "images", "kernel"])
@pytest.mark.parametrize(
    "case", [Case(window=(1, 1)), Case(window=(1, 1), stride=(2, 2), **WIDE), Case(window=(1, 1), groups=2)]
)
def test_1x1_is_one_matrix_product(wanted, case):
    counts, _ = operations(wanted, case)
    assert counts["dot_general"] == 1 and not counts["convolution"]


@pytest.mark.parametrize("wanted", ["output", "images", "kernel"])
def test_many_channels_are_for_winograd(wanted):
    counts, _ = operations(wanted, Case(**WIDE, winograd_from=32))
    assert counts["dot_general"] >= 4 and not counts["convolution"]
    for unfit in (Case(), Case(**WIDE, stride=(1, 2)), Case(**WIDE, dilation=(2, 1)), Case(**WIDE, window=(3, 2))):
        assert operations("output", unfit)[0]["convolution"] == 1


@pytest.mark.parametrize(
    "case", [Case(winograd_from=32), Case(winograd_from=32, features=12), Case(groups=2, dilation=(2, 2))]
)
def test_the_gradient_of_the_kernel_is_one_product(case):
    counts, _ = operations("kernel", case)
    assert counts["dot_general"] == 1 and not counts["convolution"]


@pytest.mark.parametrize(
    "case", [Case(winograd_from=32, features=16), Case(**WIDE, stride=(2, 2)), Case(stride=(2, 2))]
)
def test_or_one_for_each_row_of_the_window_where_rows_are_skipped_or_features_are_many(case):
    counts, _ = operations("kernel", case)
    assert counts["dot_general"] == 3 and not counts["convolution"]


def test_products_with_few_rows_and_columns_are_left_to_the_library():
    counts, _ = operations("kernel", Case(channels=1, features=6))
    assert counts["convolution"] == 1 and not counts["dot_general"]


def test_the_loop_over_a_single_channel_is_not_repeated_by_its_readers():
    counts, _ = operations("output", Case(channels=1, chunk_elements=60))
    assert counts["while"] == 1


@pytest.mark.parametrize("case", [Case(), Case(stride=(2, 2)), Case(window=(5, 5), stride=(3, 2))])
def test_the_gradient_of_the_images_reads_no_zeros_between_pixels(case):
    counts, text = operations("images", case)
    assert counts["convolution"] == 1 and "lhs_dilate = [1, 1]" in text


@pytest.mark.parametrize("wanted", ["output", "images", "kernel"])
@pytest.mark.parametrize("case", [Case(groups=4), Case(groups=4, features=8, stride=(2, 2))])
def test_depthwise_is_sums_of_products(wanted, case):
    counts, _ = operations(wanted, case)
    assert not counts.keys() & {"convolution", "dot_general"}


def test_chunks_divide_the_batch_and_fit():
    assert [cpu._chunk(batch, 10, 35) for batch in (1, 2, 3, 4, 6, 7, 12)] == [1, 2, 3, 2, 3, 1, 3]
    assert cpu._chunk(8, 36, 35) == 1
