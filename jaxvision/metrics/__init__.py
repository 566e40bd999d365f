"""Metrics: (sum, count) pairs that add up over batches and devices, blind to masked rows."""

from jaxvision.metrics.classification import confusion, masked_sum, mean, merge, top_k_correct

__all__ = ["confusion", "masked_sum", "mean", "merge", "top_k_correct"]
