"""Losses: one value per example [B]; the caller reduces."""

from jaxvision.losses.classification import softmax_cross_entropy

__all__ = ["softmax_cross_entropy"]
