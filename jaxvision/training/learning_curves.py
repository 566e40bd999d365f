"""What metrics.jsonl holds as arrays."""

import numpy as np

from jaxvision.errors import InputError


def learning_curves(
    records: list[dict], metric: str, *, members: int = 1, split: str = "train"
) -> tuple[np.ndarray, np.ndarray]:
    """(steps [T], values [P, T]) of a metric that was recorded for P `members`; a single training is one.

    NaN where a member has no record, as after it diverged. Raises InputError if the metric is in no record of the
    split.
    """
    found = [record for record in records if record["split"] == split and metric in record]
    if not found:
        raise InputError(f"metric {metric!r}: in no record of {split}")
    steps = np.unique([record["step"] for record in found])
    values = np.full((members, len(steps)), np.nan)
    for record in found:
        values[record.get("member", 0), np.searchsorted(steps, record["step"])] = record[metric]
    return steps, values
