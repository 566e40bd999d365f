"""What `load` returns: training and validation data at hand, test data behind a door that keeps a record."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jaxvision.data.dataset import Dataset
from jaxvision.data.order import TrainingOrder
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
    """The parts of a data set; the test split only through `open_test`."""

    info: DatasetInfo
    train: Dataset
    validation: Dataset
    _test: Callable[[], Dataset] = field(repr=False)

    def training_order(self, batch_size: int, seed: int) -> TrainingOrder:
        """Which training examples make which batch."""
        return TrainingOrder(len(self.train), batch_size, seed)

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
        return self._test()


def _recorded_sha256(record: Path) -> str:
    try:
        return str(json.loads(record.read_bytes())["parameters_sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{record}: not the record of an opened test split (no parameters_sha256)") from error
