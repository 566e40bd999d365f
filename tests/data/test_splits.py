import json
from dataclasses import replace

import numpy as np
import pytest

from jaxvision.data import InMemory, fake
from jaxvision.data.splits import side_by_side
from jaxvision.errors import InputError


@pytest.fixture
def splits():
    return fake("mnist")


def test_the_test_split_opens_for_one_set_of_parameters(splits, tmp_path):
    record = tmp_path / "test_opened.json"
    test = splits.open_test(record, "a" * 64)
    assert len(test) == splits.info.sizes["test"]
    written = record.read_bytes()
    assert json.loads(written)["parameters_sha256"] == "a" * 64
    assert len(splits.open_test(record, "a" * 64)) == len(test)
    with pytest.raises(InputError, match="already opened for other parameters"):
        splits.open_test(record, "b" * 64)
    assert record.read_bytes() == written
    assert [path.name for path in tmp_path.iterdir()] == ["test_opened.json"]


@pytest.mark.parametrize("content", ["", "[]", '{"time": 1}'])
def test_a_damaged_record_keeps_the_door_shut(splits, tmp_path, content):
    record = tmp_path / "record.json"
    record.write_text(content)
    with pytest.raises(InputError, match=r"record\.json: not the record of an opened test split"):
        splits.open_test(record, "a" * 64)


def test_no_public_name_leads_to_the_test_split(splits):
    assert {name for name in vars(splits) if not name.startswith("_")} == {"info", "train", "validation"}


def test_only_some_classes_under_new_numbers(splits, tmp_path):
    some = splits.only(("7", "2"))
    assert some.info.class_names == ("7", "2")
    assert some.info.sizes == {"train": len(some.train), "validation": len(some.validation)}
    test = some.open_test(tmp_path / "some.json", "a" * 64)
    assert test.is_test
    whole = splits.open_test(tmp_path / "whole.json", "a" * 64)
    for chosen, everything in [(some.train, splits.train), (some.validation, splits.validation), (test, whole)]:
        for number, digit in enumerate((7, 2)):
            images = chosen.gather(np.flatnonzero(chosen.labels == number))["image"]
            expected = everything.gather(np.flatnonzero(everything.labels == digit))["image"]
            assert len(images) and (images == expected).all()
        assert set(chosen.labels) == {0, 1}
    joined = some.development().train
    assert len(joined) == len(some.train) + len(some.validation) and set(joined.labels) == {0, 1}


def test_only_some_classes_keeps_the_door_shut(splits, tmp_path):
    some = splits.only(("0", "1"))
    assert {name for name in vars(some) if not name.startswith("_")} == {"info", "train", "validation"}
    some.open_test(tmp_path / "record.json", "a" * 64)
    with pytest.raises(InputError, match="already opened for other parameters"):
        some.open_test(tmp_path / "record.json", "b" * 64)


@pytest.mark.parametrize("classes", [("0", "ten"), ("3", "3")])
def test_only_classes_that_are_there_once(splits, classes):
    with pytest.raises(InputError, match=r"expected some of 0, 1, .*, 9, each once"):
        splits.only(classes)


def test_data_sets_side_by_side(splits):
    other = splits.only(("4", "9"))
    both, trained_on, held_out = side_by_side([splits, other])
    for one, learn, check in zip([splits, other], trained_on, held_out):
        for part, positions in [(one.train, learn), (one.validation, check)]:
            taken, expected = both.train.take(positions).resident(), part.resident()
            np.testing.assert_array_equal(taken["image"], expected["image"])
            np.testing.assert_array_equal(taken["label"], expected["label"])
    everything = np.concatenate([*trained_on, *held_out])
    np.testing.assert_array_equal(np.sort(everything), np.arange(len(both.train)))
    assert both.validation is None and both.info.class_names == splits.info.class_names
    assert both.info.sizes == {"train": len(both.train)}


def test_data_sets_side_by_side_have_no_test_and_one_shape(splits, tmp_path):
    both, *_ = side_by_side([splits, splits])
    with pytest.raises(InputError, match="no test split"):
        both.open_test(tmp_path / "record.json", "a" * 64)
    with pytest.raises(InputError, match=r"mnist \(28, 28, 1\), .*, expected images of one shape"):
        side_by_side([splits, fake("cifar10")])


def images_of(dataset):
    return dataset.gather(np.arange(len(dataset)))["image"]


def test_development_is_train_and_validation(splits):
    both = splits.development()
    assert both.validation is None and both.info == splits.info
    expected = np.concatenate([images_of(splits.train), images_of(splits.validation)])
    np.testing.assert_array_equal(images_of(both.train), expected)
    np.testing.assert_array_equal(both.train.labels, [*splits.train.labels, *splits.validation.labels])
    assert both.development() is both


def test_the_test_split_stays_behind_its_door_in_development(splits, tmp_path):
    test = splits.development().open_test(tmp_path / "record.json", "a" * 64)
    np.testing.assert_array_equal(images_of(test), images_of(splits.open_test(tmp_path / "record.json", "a" * 64)))


@pytest.mark.parametrize("name", ["train", "validation"])
def test_a_test_split_is_not_taken_for_another(splits, tmp_path, name):
    test = splits.open_test(tmp_path / "record.json", "a" * 64)
    for smuggled in (test, test.take(np.arange(3)), splits.train.joined(test), test.joined(splits.train)):
        with pytest.raises(InputError, match=f"mnist: the test split was handed over as {name}"):
            replace(splits, **{name: smuggled})


UNEVEN = np.repeat([0, 1, 2], [8, 5, 4])


def uneven(splits):
    """Seventeen training examples: eight, five and four of three classes."""
    return replace(splits, train=InMemory(np.zeros((17, 28, 28, 1), np.uint8), UNEVEN))


def test_folds_hold_each_example_out_once_and_have_all_classes(splits):
    folds = uneven(splits).folds(4, seed=0)
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(17))
    counts = np.array([np.bincount(UNEVEN[fold], minlength=3) for fold in folds])
    assert (counts[:, 0] == 2).all() and (counts[:, 2] == 1).all()
    np.testing.assert_array_equal(np.sort(counts[:, 1]), [1, 1, 1, 2])


def test_folds_are_those_of_their_seed(splits):
    one, again, other = (uneven(splits).folds(4, seed) for seed in (0, 0, 1))
    for fold, same in zip(one, again):
        np.testing.assert_array_equal(fold, same)
    assert any(not np.array_equal(fold, another) for fold, another in zip(one, other))


@pytest.mark.parametrize("count", [-1, 0, 1, 5])
def test_impossible_folds(splits, count):
    with pytest.raises(
        InputError, match=f"{count} folds: expected from 2 to 4, the examples of the smallest class"
    ):
        uneven(splits).folds(count, seed=0)


def test_a_fold_order_shows_all_but_what_is_held_out(splits):
    splits = uneven(splits)
    order = splits.fold_order(4, [0, 5], [np.array([3, 1]), np.arange(2, 17)])
    assert (order.num_examples, order.batch_size, len(order.orders)) == (17, 4, 2)
    first, second = order.batches(0, 15)[:, 0], order.batches(0, 15)[:, 1]
    np.testing.assert_array_equal(np.sort(first.reshape(4, 15), 1), [np.setdiff1d(np.arange(17), [1, 3])] * 4)
    np.testing.assert_array_equal(np.sort(second.reshape(30, 2), 1), [[0, 1]] * 30)
    with pytest.raises(ValueError, match="shorter"):
        splits.fold_order(4, [0, 5], [np.array([0])])


def test_few_are_the_first(splits):
    few = splits.few(5)
    np.testing.assert_array_equal(few.train.labels, splits.train.labels[:5])
    assert few.validation is splits.validation
    for examples in (0, 65):
        with pytest.raises(InputError, match=f"mnist: {examples} training examples, expected 1 to 64"):
            splits.few(examples)
