"""Both data sets under one contract: the same examples in the same order, wherever they lie."""

from itertools import islice

import numpy as np
import pytest

from jaxvision.data import InMemory, Streaming, TrainingOrder, load, prepare
from jaxvision.errors import InputError

KINDS = {True: Streaming, False: InMemory}


@pytest.fixture
def prepared(mnist_raw, tmp_path):
    root, arrays = mnist_raw
    prepare("mnist", root, tmp_path / "data")
    return tmp_path / "data", arrays


@pytest.fixture(params=KINDS, ids=["streaming", "in memory"])
def train(request, prepared):
    """The training part of 36 examples."""
    dataset = load("mnist", prepared[0], streaming=request.param).train
    assert isinstance(dataset, KINDS[request.param])
    return dataset


def assert_batches_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert one.keys() == other.keys()
        for name in one:
            assert one[name].dtype == other[name].dtype
            np.testing.assert_array_equal(one[name], other[name])


def test_gather_gives_the_examples_asked_for(train, prepared):
    images, labels = prepared[1]["train"]
    batch = train.gather(np.array([5, 0, 35, 5]))
    assert batch["image"].dtype == np.uint8 and batch["label"].dtype == batch["index"].dtype == np.int32
    np.testing.assert_array_equal(batch["index"], [5, 0, 35, 5])
    np.testing.assert_array_equal(batch["label"], train.labels[[5, 0, 35, 5]])
    for image, label in zip(batch["image"], batch["label"]):
        (found,) = np.nonzero((images == image).all((1, 2, 3)))
        assert labels[found[0]] == label


def test_take_numbers_its_examples_anew(train):
    part = train.take(np.array([7, 3])).take(np.array([1, 0, 1]))
    assert len(part) == 3 and part.labels.dtype == np.int32
    expected = train.gather(np.array([3, 7, 3]))
    found = part.gather(np.arange(3))
    np.testing.assert_array_equal(found["image"], expected["image"])
    np.testing.assert_array_equal(found["label"], expected["label"])
    np.testing.assert_array_equal(found["index"], [0, 1, 2])


def test_joined_has_the_examples_of_both(train):
    part, rest = train.take(np.array([7, 3])), train.take(np.array([5, 0, 1]))
    both = part.joined(rest)
    expected = train.gather(np.array([7, 3, 5, 0, 1]))
    found = both.gather(np.arange(5))
    np.testing.assert_array_equal(found["image"], expected["image"])
    np.testing.assert_array_equal(found["label"], expected["label"])
    np.testing.assert_array_equal(both.labels, expected["label"])
    assert len(both) == 5 and len(part) == 2 and len(rest) == 3


def test_joined_with_test_examples_are_test_examples(train):
    test = train.take(np.array([7, 3]))
    test.is_test = True
    assert train.joined(test).is_test and test.joined(train).is_test and test.take(np.array([0])).is_test
    assert not train.joined(train).is_test


def test_in_memory_any_two_are_joined():
    """Also where they share the images, but not the labels."""
    images = np.arange(8, dtype=np.uint8).reshape(4, 1, 1, 2)
    right, wrong = InMemory(images, [0, 1, 2, 3]), InMemory(images, [3, 2, 1, 0])
    other = InMemory(images[:2] + 100, [5, 6])
    np.testing.assert_array_equal(right.take(np.array([1])).joined(wrong).labels, [1, 3, 2, 1, 0])
    both = right.take(np.array([3, 1])).joined(other)
    np.testing.assert_array_equal(both.labels, [3, 1, 5, 6])
    np.testing.assert_array_equal(both.resident()["image"][:, 0, 0], [[6, 7], [2, 3], [100, 101], [102, 103]])


def test_streams_from_different_files_are_not_joined(prepared):
    one, other = (load("mnist", prepared[0], streaming=True).train for _ in range(2))
    with pytest.raises(InputError, match="stream from different files: prepare them as one split"):
        one.joined(other)


def test_training_follows_the_order_and_resumes_at_any_step(train):
    order = TrainingOrder(len(train), 10, seed=3)
    batches = list(islice(train.train_batches(order, 0), 9))  # 2.5 epochs
    assert_batches_equal(batches, [train.gather(order.batch(step)) for step in range(9)])
    assert_batches_equal(list(islice(train.train_batches(order, 5), 4)), batches[5:])


def test_processes_supply_the_rows_of_one_global_batch(train):
    order = TrainingOrder(len(train), 10, seed=3)
    first, second = (next(train.train_batches(order, 2, rows)) for rows in (slice(0, 4), slice(4, 10)))
    whole = {name: np.concatenate([first[name], second[name]]) for name in first}
    assert_batches_equal([whole], [next(train.train_batches(order, 2))])


@pytest.mark.parametrize("batch_size", [36, 10, 1, 50])
def test_evaluation_covers_each_example_once(train, batch_size):
    batches = list(train.evaluation_batches(batch_size))
    assert {len(batch["image"]) for batch in batches} == {batch_size}
    index, mask = (np.concatenate([batch[name] for batch in batches]) for name in ("index", "mask"))
    assert mask.dtype == np.float32
    np.testing.assert_array_equal(index[mask == 1], np.arange(36))
    assert (index[mask == 0] == -1).all() and mask.sum() == 36
    labels = np.concatenate([batch["label"] for batch in batches])
    np.testing.assert_array_equal(labels[mask == 1], train.labels)


def test_evaluation_in_two_processes_covers_each_example_once(train):
    parts = [list(train.evaluation_batches(10, rows)) for rows in (slice(0, 5), slice(5, 10))]
    assert len(parts[0]) == len(parts[1]) == 4
    index = np.concatenate([batch["index"] for part in parts for batch in part])
    np.testing.assert_array_equal(np.sort(index[index >= 0]), np.arange(36))


def test_an_order_of_another_size_is_refused(train):
    with pytest.raises(InputError, match="order is of 35 examples, the data set has 36"):
        next(train.train_batches(TrainingOrder(35, 5, seed=0), 0))


def test_memory_and_stream_agree(prepared):
    memory, stream = (load("mnist", prepared[0], streaming=streaming) for streaming in (False, True))
    order = TrainingOrder(36, 7, seed=0)
    assert_batches_equal(
        list(islice(stream.train.train_batches(order, 3), 8)), list(islice(memory.train.train_batches(order, 3), 8))
    )
    for split in ("train", "validation"):
        assert_batches_equal(
            list(getattr(stream, split).evaluation_batches(8)), list(getattr(memory, split).evaluation_batches(8))
        )


def test_only_memory_is_resident(prepared):
    memory, stream = (load("mnist", prepared[0], streaming=streaming).train for streaming in (False, True))
    everything = memory.resident()
    np.testing.assert_array_equal(everything["image"], memory.gather(np.arange(36))["image"])
    np.testing.assert_array_equal(everything["label"], memory.labels)
    assert stream.resident() is None
