"""Splits in which every class has its share, the same on every machine and for every run."""

import numpy as np

SPLIT_SEED = 20260101


def stratified_order(labels: np.ndarray, seed: int = SPLIT_SEED) -> np.ndarray:
    """A random permutation [N] of which every stretch holds the classes in the proportions of the whole.

    Examples are sorted by the quantile of their random rank within their class: a cut anywhere cuts every
    class at the same quantile, and the total exactly there.
    """
    permutation = np.random.default_rng(seed).permutation(len(labels))
    shuffled = np.asarray(labels)[permutation]
    quantiles = np.empty(len(labels))
    for label in np.unique(shuffled):
        (places,) = np.nonzero(shuffled == label)
        quantiles[places] = (np.arange(len(places)) + 0.5) / len(places)
    return permutation[np.argsort(quantiles, kind="stable")]


def stratified_cut(labels: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """Positions, ascending, of consecutive parts of these sizes of the stratified order."""
    order = stratified_order(labels)
    return [np.sort(part) for part in np.split(order, np.cumsum(sizes)[:-1])]
