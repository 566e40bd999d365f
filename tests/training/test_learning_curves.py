import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.training.learning_curves import learning_curves

RECORDS = [
    {"step": 10, "split": "train", "member": 0, "loss": 3.0},
    {"step": 10, "split": "train", "member": 1, "loss": 4.0},
    {"step": 10, "split": "validation", "member": 0, "loss": 9.0, "top1": 0.5},
    {"step": 20, "split": "train", "member": 1, "loss": 2.0},
]


def test_members_are_rows_and_what_was_not_recorded_is_nan():
    steps, values = learning_curves(RECORDS, "loss", members=3)
    np.testing.assert_array_equal(steps, [10, 20])
    np.testing.assert_array_equal(values, [[3, np.nan], [4, 2], [np.nan, np.nan]])
    np.testing.assert_array_equal(learning_curves(RECORDS, "top1", split="validation")[1], [[0.5]])


def test_a_single_training_is_one_member():
    records = [{"step": step, "split": "train", "loss": 1 / step} for step in (4, 2)]
    steps, values = learning_curves(records, "loss")
    np.testing.assert_array_equal(steps, [2, 4])
    np.testing.assert_array_equal(values, [[0.5, 0.25]])


def test_a_metric_that_was_not_recorded_is_refused():
    with pytest.raises(InputError, match="'top1': in no record of train"):
        learning_curves(RECORDS, "top1")
