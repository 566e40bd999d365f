"""What `load` returns: training and validation data at hand, test data behind a door that keeps a record."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path

import numpy as np

from jaxvision.data.dataset import Dataset
from jaxvision.data.order import FoldOrder, PopulationOrder, TrainingOrder
from jaxvision.errors import InputError
from jaxvision.files import write_whole


@dataclass(frozen=True)
class DatasetInfo:
    """`image_shape` is (H, W, C) as delivered, C = 1 for grey; label k means `class_names[k]`.

    `sizes` counts the examples of "train", "validation" and "test".
    """

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    sizes: Mapping[str, int]


@dataclass(frozen=True)
class Splits:
    """The parts of a data set; the test split only through `open_test`.

    `validation` is None where everything but the test split is trained on, `train` too where nothing is trained.
    Raises InputError where a test split is handed in as another.
    """

    info: DatasetInfo
    train: Dataset | None
    validation: Dataset | None
    _test: Callable[[], Dataset] = field(repr=False)

    def __post_init__(self):
        for name in ("train", "validation"):
            if getattr(getattr(self, name), "is_test", False):
                raise InputError(
                    f"{self.info.name}: the test split was handed over as {name}; what is trained or chosen on it "
                    "can't be measured by it any more. Choose on the validation split"
                )

    def only(self, class_names: Sequence[str]) -> "Splits":
        """The examples of these classes; label k then means class_names[k]. The test split stays behind its door.

        `info.sizes` lacks "test": nobody has counted.

        Raises:
          InputError: one of these classes does not exist, or is named twice.
        """
        known = self.info.class_names
        for name in class_names:
            if name not in known or list(class_names).count(name) > 1:
                raise InputError(
                    f"classes {', '.join(class_names)}: expected some of {', '.join(known)}, each once"
                )
        numbers = np.full(len(known), -1)
        numbers[[known.index(name) for name in class_names]] = np.arange(len(class_names))

        def chosen(dataset):
            return dataset.take(np.flatnonzero(numbers[dataset.labels] >= 0)).renumbered(numbers)

        train = chosen(self.train)
        validation = chosen(self.validation) if self.validation is not None else None
        sizes = {"train": len(train), "validation": len(validation or ())}
        info = replace(self.info, class_names=tuple(class_names), sizes=sizes)
        return Splits(info, train, validation, lambda: chosen(self._test()))

    def few(self, examples: int) -> "Splits":
        """Only the first training examples, so many. Raises InputError if there are not as many."""
        self.check_examples(examples)
        info = replace(self.info, sizes={**self.info.sizes, "train": examples})
        return replace(self, info=info, train=self.train.take(np.arange(examples)))

    def check_examples(self, examples: int) -> None:
        """Raise InputError if training on so many examples is not possible."""
        if not 1 <= examples <= len(self.train):
            raise InputError(f"{self.info.name}: {examples} training examples, expected 1 to {len(self.train)}")

    def development(self) -> "Splits":
        """Train and validation as one training split, for cross-validation or a last training before the test."""
        if self.validation is None:
            return self
        return replace(self, train=self.train.joined(self.validation), validation=None)

    def folds(self, count: int, seed: int) -> list[np.ndarray]:
        """Stratified folds: for each the positions of the training examples it holds out.

        Raises:
          InputError: there are fewer than two folds, or classes with fewer examples than folds.
        """
        from sklearn.model_selection import StratifiedKFold

        fewest = np.unique(self.train.labels, return_counts=True)[1].min()
        if not 2 <= count <= fewest:
            raise InputError(f"{count} folds: expected from 2 to {fewest}, the examples of the smallest class")
        splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
        return [held_out for _, held_out in splitter.split(self.train.labels, self.train.labels)]

    def fold_order(self, batch_size: int, seeds: Sequence[int], held_out: Sequence[np.ndarray]) -> PopulationOrder:
        """The orders of members that are trained on all training examples but those they hold out."""
        everything = np.arange(len(self.train))
        return PopulationOrder(
            [
                FoldOrder(len(everything), np.setdiff1d(everything, fold), batch_size, seed)
                for seed, fold in zip(seeds, held_out, strict=True)
            ]
        )

    def training_order(self, batch_size: int, seed: int) -> TrainingOrder:
        """Which training examples make which batch."""
        return TrainingOrder(len(self.train), batch_size, seed)

    def population_order(self, batch_size: int, seeds: Sequence[int]) -> PopulationOrder:
        """The same for a member with each of these seeds: the order it has by itself."""
        return PopulationOrder([self.training_order(batch_size, seed) for seed in seeds])

    def open_test(self, record: Path, parameters_sha256: str) -> Dataset:
        """The test split, for the final evaluation of the parameters with this checksum.

        The first call writes `record` (JSON); from then on it opens for the same parameters only, so that
        nothing is ever chosen by its test result. InputError otherwise.
        """
        record = Path(record)
        if record.exists():
            opened_for = _recorded_sha256(record)
            if opened_for != parameters_sha256:
                raise InputError(
                    f"{record}: the test split was already opened for other parameters (sha256 "
                    f"{opened_for[:12]}, now {parameters_sha256[:12]}); a second look would choose by test "
                    "result. Compare on the validation split, or start in a new work directory"
                )
        else:
            time = datetime.now(UTC).isoformat(timespec="seconds")
            entry = {"parameters_sha256": parameters_sha256, "time": time}
            write_whole(record, json.dumps(entry))
        test = self._test()
        test.is_test = True
        return test


def side_by_side(several: Sequence[Splits]) -> tuple[Splits, list[np.ndarray], list[np.ndarray]]:
    """Data sets as one, so that the members of a population can each be trained on one of them.

    Returns (splits, trained_on, held_out). The training examples of `splits` are those of train and validation of
    all sets; set i trains on the positions trained_on[i] and is validated on held_out[i]. Label k is class k of its
    own set. There is no test split.

    Raises:
      InputError: the images differ in shape.
    """
    if len({splits.info.image_shape for splits in several}) != 1:
        shapes = ", ".join(f"{splits.info.name} {splits.info.image_shape}" for splits in several)
        raise InputError(f"data sets side by side: {shapes}, expected images of one shape")
    trained_on, held_out, start = [], [], 0
    for splits in several:
        end = start + len(splits.train)
        trained_on.append(np.arange(start, end))
        start = end + len(splits.validation)
        held_out.append(np.arange(end, start))
    train = reduce(lambda one, other: one.joined(other), (splits.development().train for splits in several))
    most = max((splits.info for splits in several), key=lambda info: len(info.class_names))
    info = replace(most, name=", ".join(splits.info.name for splits in several), sizes={"train": start})
    return Splits(info, train, None, _no_test), trained_on, held_out


def _no_test():
    raise InputError("data sets side by side have no test split: expected a study, which opens none")


def _recorded_sha256(record: Path) -> str:
    try:
        return str(json.loads(record.read_bytes())["parameters_sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{record}: not the record of an opened test split (no parameters_sha256)") from error
