import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.models.neocognitron import (
    SimpleCells,
    Stage,
    complex_cells,
    learn,
    learn_stage,
    respond,
    simple_cells,
)
from jaxvision.ops.filters import gaussian
from tests.ops.numerics import assert_close

STAGE = Stage(planes=4, window_px=3, selectivity=4.0, rate=2.0, column_px=3, blur_px=3, stride_px=1)
FIRM = STAGE._replace(rate=1e5)  # learns so much at once that what is 1 in the equations no longer matters
BARS = {
    "horizontal": np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]], np.float32),
    "vertical": np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0]], np.float32),
    "diagonal": np.eye(3, dtype=np.float32),
}
NEAR = np.asarray(gaussian(3, 1.5))


def image_of(bar, top=3, left=3, brightness=1.0):
    """[9, 9, 1] with one 3x3 bar in it."""
    image = np.zeros((9, 9, 1), np.float32)
    image[top : top + 3, left : left + 3, 0] = brightness * BARS[bar]
    return image


def images_of(*bars):
    return jnp.stack([jnp.asarray(image_of(bar)) for bar in bars])


def test_the_first_seed_is_the_patch_with_most_to_see():
    """Around the middle of the bar: a = q c u, b = q / 2 v."""
    cells = learn_stage(images_of("vertical"), STAGE)
    seen = NEAR * BARS["vertical"]
    assert_close(cells.excitatory[:, :, 0, 0], 2 * seen)
    activity = np.sqrt(np.sum(NEAR * BARS["vertical"] ** 2))
    assert_close(cells.inhibitory, [activity, 0, 0, 0])
    assert not cells.excitatory[..., 1:].any()


def test_a_simple_cell_by_hand():
    """Of its own pattern the excitation is q v^2 and the inhibition r / (1 + r) q v^2."""
    cells = learn_stage(images_of("vertical"), STAGE)
    responses = simple_cells(images_of("vertical"), cells, STAGE)
    assert responses.shape == (1, 9, 9, 4)
    square = np.sum(NEAR * BARS["vertical"] ** 2)
    assert_close(responses[0, 4, 4, 0], 4 * ((1 + 2 * square) / (1 + 4 / 5 * 2 * square) - 1))
    assert responses.argmax() == np.ravel_multi_index((4, 4, 0), (9, 9, 4))
    assert not responses[..., 1:].any()


@pytest.mark.parametrize("brightness", [0.1, 1.0])
def test_what_has_been_learned_is_told_by_its_cosine_alone(brightness):
    """An S-cell then responds r (cosine (1 + r) / r - 1) where that is positive, however bright the image."""
    cells = learn_stage(images_of("vertical"), FIRM)
    responses = simple_cells(
        jnp.asarray([image_of("diagonal", brightness=brightness)]), cells, FIRM._replace(selectivity=0.5)
    )
    square, overlap = np.sum(NEAR * BARS["vertical"]), NEAR[1, 1]
    cosine = overlap / np.sqrt(square * np.sum(NEAR * BARS["diagonal"]))
    assert_close(responses[0, 4, 4, 0], 0.5 * (cosine * 3 - 1), 1e-3)
    strict = simple_cells(jnp.asarray([image_of("diagonal", brightness=brightness)]), cells, FIRM)
    assert cosine < 4 / 5 and strict[0, 4, 4, 0] == 0


def test_every_new_pattern_starts_a_plane_and_known_ones_do_not():
    shown = images_of("vertical", "horizontal", "vertical", "diagonal", "horizontal")
    cells = learn_stage(shown, FIRM)
    assert cells.inhibitory[3] == 0
    planes = np.asarray(cells.excitatory[:, :, 0, :3]) / np.asarray(cells.inhibitory)[None, None, :3]
    for place, bar in enumerate(("vertical", "horizontal", "diagonal")):
        expected = NEAR * BARS[bar] / (np.sqrt(np.sum(NEAR * BARS[bar])) / 2)
        assert_close(planes[..., place], expected)


def test_when_all_planes_are_taken_no_other_starts():
    shown = images_of("vertical", "horizontal", "diagonal")
    cells = learn_stage(shown, FIRM._replace(planes=1))
    assert_close(cells, learn_stage(shown[:1], FIRM._replace(planes=1)))


def test_a_plane_learns_once_an_example_however_often_it_responds():
    cells = learn_stage(images_of("vertical"), STAGE)
    twice = image_of("vertical", 0, 0) + image_of("vertical", 5, 5)
    both = learn_stage(jnp.stack([images_of("vertical")[0], jnp.asarray(twice)]), STAGE)
    assert_close(both.inhibitory[0], 2 * cells.inhibitory[0])
    assert_close(both.excitatory[..., 0], 2 * cells.excitatory[..., 0])


def test_what_is_shifted_is_found_shifted():
    cells = learn_stage(images_of("vertical", "horizontal"), STAGE)
    still, moved = (
        simple_cells(jnp.asarray([image_of("vertical", top, left)]), cells, STAGE)[0]
        for top, left in ((3, 3), (1, 4))
    )
    assert_close(moved[:-2, 1:], still[2:, :-1])


def test_a_complex_cell_by_hand():
    """One S-cell of one of two planes, 2 strong: seen blurred, less the mean of both."""
    simple = jnp.zeros((1, 5, 5, 2)).at[0, 2, 2, 0].set(2.0)
    responses = complex_cells(simple, STAGE)
    for place, near in ((2, 1.0), (1, np.exp(-1 / (2 * 0.75**2)))):
        excess = (1 + 2 * near) / (1 + near) - 1
        np.testing.assert_allclose(responses[0, 2, place, 0], excess / (0.5 + excess), rtol=1e-5)
    assert responses[0, 2, 0, 0] == 0
    assert not responses[..., 1].any()


def test_what_all_planes_say_is_inhibited():
    assert not complex_cells(jnp.ones((1, 5, 5, 3)), STAGE).any()


def test_complex_cells_move_by_their_stride():
    """And forget a part of a shift: the blurred responses change less than those of the S-cells."""
    stage = STAGE._replace(stride_px=2, blur_px=5)
    simple = jnp.zeros((1, 8, 8, 2)).at[0, 4, 4, 0].set(1.0)
    still, moved = complex_cells(simple, stage), complex_cells(jnp.roll(simple, 1, axis=2), stage)
    assert still.shape == (1, 4, 4, 2)

    def cosine(one, other):
        return np.vdot(one, other) / np.sqrt(np.vdot(one, one) * np.vdot(other, other))

    assert cosine(still, moved) > 0.8


def test_stages_learn_one_upon_the_other():
    stages = (FIRM, FIRM._replace(planes=3, window_px=5, stride_px=2))
    shown = images_of("vertical", "horizontal", "diagonal")
    learned = learn(shown, stages)
    first, second = respond(shown, learned, stages)
    assert learned[1].excitatory.shape == (5, 5, 4, 3)
    assert_close(learned[1], learn_stage(first.complex, stages[1]))
    assert_close(second.simple, simple_cells(first.complex, learned[1], stages[1]))
    assert second.complex.shape == (3, 5, 5, 3)
    assert (np.asarray(learned[1].inhibitory) > 0).all()


def test_an_unknown_pattern_is_answered_by_silence():
    silent = simple_cells(images_of("vertical"), SimpleCells(jnp.zeros((3, 3, 1, 2)), jnp.zeros(2)), STAGE)
    assert not silent.any()


@pytest.mark.parametrize("field", ["window_px", "column_px", "blur_px"])
def test_windows_have_a_middle(field):
    with pytest.raises(InputError, match="a window of 4 pixels, expected an odd number"):
        learn(images_of("vertical"), [STAGE._replace(**{field: 4})])
