import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import training_curves


def records(split, metric, points):
    return [{"step": step, "split": split, metric: value} for step, value in points]


def test_lines_are_the_records_in_the_order_of_their_steps():
    train = records("train", "loss", [(20, 0.5), (10, 1.0), (30, 0.25)])
    validation = records("validation", "loss", [(15, 1.25), (30, 0.75)])
    test = records("test", "loss", [(30, 9.0)])
    (axes,) = training_curves(train + validation + test, ["loss"]).axes
    drawn_train, drawn_validation, _ = axes.lines
    np.testing.assert_array_equal(drawn_train.get_xydata(), [(10, 1), (20, 0.5), (30, 0.25)])
    np.testing.assert_array_equal(drawn_validation.get_xydata(), [(15, 1.25), (30, 0.75)])
    assert [text.get_text() for text in axes.get_legend().texts] == ["train", "validation"]


def test_one_panel_a_metric():
    both = [{"step": 1, "split": "train", "loss": 1.0, "top1": 0.5}]
    assert [axes.get_title(loc="left") for axes in training_curves(both).axes] == ["loss", "top1"]


@pytest.mark.parametrize(
    ("metric", "best"),
    [("loss", (20, 0.1)), ("box_loss", (20, 0.1)), ("top1", (30, 0.9)), ("miou", (30, 0.9))],
)
def test_the_best_validation_point_is_lowest_for_losses_and_highest_otherwise(metric, best):
    points = [(10, 0.5), (20, 0.1), (30, 0.9), (40, 0.1), (50, 0.9), (60, float("nan"))]
    (axes,) = training_curves(records("validation", metric, points), [metric]).axes
    np.testing.assert_array_equal(axes.lines[-1].get_xydata(), [best])  # the earliest of equals
    assert axes.get_title(loc="right") == f"best {best[1]} at step {best[0]}"


def test_the_gap_is_shaded_where_both_lines_are_drawn():
    train = records("train", "top1", [(0, 0.0), (10, 1.0)])
    validation = records("validation", "top1", [(5, 0.25), (10, 0.5), (20, 0.5)])
    (axes,) = training_curves(train + validation, ["top1"]).axes
    (gap,) = axes.collections
    corners = {tuple(corner) for corner in gap.get_paths()[0].vertices}
    assert corners == {(5, 0.5), (10, 1), (10, 0.5), (5, 0.25)}  # train at step 5 is interpolated


@pytest.mark.parametrize(
    ("metric", "values", "scale"),
    [
        ("loss", [31.0, 1.0], "log"),
        ("loss", [29.0, 1.0], "linear"),
        ("loss", [31.0, 1.0, -1.0], "linear"),
        ("loss", [31.0, 1.0, float("inf")], "log"),
        ("top1", [0.01, 0.9], "linear"),
    ],
)
def test_a_loss_of_wide_range_is_drawn_on_a_log_axis(metric, values, scale):
    (axes,) = training_curves(records("train", metric, enumerate(values)), [metric]).axes
    assert axes.get_yscale() == scale


def test_members_of_a_population_are_averaged():
    members = [{"step": 5, "split": "train", "loss": loss, "member": i} for i, loss in enumerate([1, 2, 6])]
    (axes,) = training_curves(members, ["loss"]).axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [(5, 3)])


def test_an_unknown_metric_is_named_with_those_that_exist():
    with pytest.raises(InputError, match=r"'top1': in no record, expected one of \['loss'\]"):
        training_curves(records("train", "loss", [(1, 1.0)]))
    with pytest.raises(InputError, match="metrics: empty"):
        training_curves([], [])


def test_without_validation_there_is_one_line():
    (axes,) = training_curves(records("train", "loss", [(1, 1.0), (2, 0.5)]), ["loss"]).axes
    assert [line.get_label() for line in axes.lines] == ["train"]
