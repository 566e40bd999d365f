"""Metrics: (sum, count) pairs that add up over batches and devices, blind to masked rows."""

from jaxvision.metrics.classification import confusion, masked_sum, mean, merge, top_k_correct
from jaxvision.metrics.ensembles import (
    majority_vote,
    mean_probability,
    monte_carlo,
    mutual_information,
    predictive_entropy,
)

__all__ = [
    "confusion",
    "majority_vote",
    "masked_sum",
    "mean",
    "mean_probability",
    "merge",
    "monte_carlo",
    "mutual_information",
    "predictive_entropy",
    "top_k_correct",
]
