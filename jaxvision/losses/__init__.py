"""Losses: one value per example [B]; the caller reduces. Penalties: one value for a tree of parameters."""

from jaxvision.losses.backpropagation import mlp_gradients, multiperceptron_gradients
from jaxvision.losses.classification import (
    binary_hinge,
    entropy,
    kl_divergence,
    multiclass_hinge,
    perceptron_criterion,
    softmax_cross_entropy,
)
from jaxvision.losses.penalties import l1_penalty, l2_penalty
from jaxvision.losses.regression import squared_error

__all__ = [
    "binary_hinge",
    "entropy",
    "kl_divergence",
    "l1_penalty",
    "l2_penalty",
    "mlp_gradients",
    "multiclass_hinge",
    "multiperceptron_gradients",
    "perceptron_criterion",
    "softmax_cross_entropy",
    "squared_error",
]
