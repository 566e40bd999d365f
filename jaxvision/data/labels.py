"""Labels made wrong on purpose, to see what a network learns by heart."""

from dataclasses import replace

import numpy as np

from jaxvision.data.memory import InMemory
from jaxvision.data.splits import Splits
from jaxvision.errors import InputError


def few_with_random_labels(splits: Splits, examples: int, share: float, *, seed: int) -> Splits:
    """The splits with the first training examples only, so many, of which about `share` have a random label.

    Raises InputError if there are not as many, and as `with_random_labels`.
    """
    few = splits.few(examples)
    classes = len(splits.info.class_names)
    return replace(few, train=with_random_labels(few.train, share, classes=classes, seed=seed))


def with_random_labels(dataset: InMemory, share: float, *, classes: int, seed: int) -> InMemory:
    """The same images, of which about `share` in [0, 1] have a label drawn from all `classes`, the right one too.

    Zhang et al. 2017, "Understanding deep learning requires rethinking generalization", section 2.1, "partially
    corrupted labels". Raises InputError for another share, and for a data set that isn't in memory.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share of random labels: {share}, expected a number in [0, 1]")
    if (resident := dataset.resident()) is None:
        raise InputError("random labels: the data set streams from disk, expected one in memory")
    rng = np.random.default_rng(seed)
    drawn = rng.random(len(dataset)) < share
    labels = np.where(drawn, rng.integers(0, classes, len(dataset)), dataset.labels)
    return InMemory(resident["image"], labels, is_test=dataset.is_test)
