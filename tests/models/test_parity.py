"""The same weights in PyTorch give the same logits."""

import jax
import numpy as np
import pytest

from jaxvision import models

pytestmark = pytest.mark.parity
TOLERANCE = 2e-5  # of the largest logit; rounding in float32 is a tenth of it


def as_torch_weight(kernel):
    """[H, W, in, out] -> [out, in, H, W], or [in, out] -> [out, in]."""
    kernel = np.array(kernel)
    return kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T


def load_into(torch_layers, params, names):
    import torch

    for layer, name in zip(torch_layers, names):
        weight = as_torch_weight(params[name]["kernel"])
        layer.weight.data = torch.from_numpy(np.ascontiguousarray(weight))
        layer.bias.data = torch.from_numpy(np.array(params[name]["bias"]))


def first_dense_in_torch_order(kernel, channels_last_shape):
    """Rows of the kernel after a flatten of [H, W, C], in the order of a flatten of [C, H, W]."""
    height, width, channels = channels_last_shape
    kernel = np.asarray(kernel).reshape(height, width, channels, -1)
    return kernel.transpose(2, 0, 1, 3).reshape(height * width * channels, -1)


def with_random_biases(params, key):
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    noisy = [leaf + 0.1 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys)]
    return jax.tree.unflatten(structure, noisy)


def largest_difference(ours, theirs):
    theirs = theirs.detach().numpy()
    return np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max()


def test_lenet():
    import torch
    from torch import nn

    images = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    model = models.create("lenet")
    params = models.initialise(model, jax.random.key(0), images)["params"]
    params = with_random_biases(params, jax.random.key(1))
    layers = [
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Conv2d(6, 16, 5),
        nn.Linear(400, 120),
        nn.Linear(120, 84),
        nn.Linear(84, 10),
    ]
    names = ("C1", "C3", "C5", "F6", "head")
    dense = first_dense_in_torch_order(params["C5"]["kernel"], (5, 5, 16))
    load_into(layers, {**params, "C5": {**params["C5"], "kernel": dense}}, names)
    conv1, conv2, fc1, fc2, fc3 = layers
    pool = nn.MaxPool2d(2)
    network = nn.Sequential(
        conv1, nn.ReLU(), pool, conv2, nn.ReLU(), pool, nn.Flatten(), fc1, nn.ReLU(), fc2, nn.ReLU(), fc3
    )
    expected = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    assert largest_difference(model.apply({"params": params}, images), expected) <= TOLERANCE


def test_course_cifar_cnn():
    import torch
    from torch import nn

    images = np.random.default_rng(0).random((4, 32, 32, 3), np.float32)
    model = models.create("course_cifar_cnn")
    params = models.initialise(model, jax.random.key(0), images)["params"]
    params = with_random_biases(params, jax.random.key(1))
    layers = [
        nn.Conv2d(3, 32, 5, padding=2),
        nn.Conv2d(32, 32, 5, padding=2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.Linear(1024, 64),
        nn.Linear(64, 10),
    ]
    dense = first_dense_in_torch_order(params["F7"]["kernel"], (4, 4, 64))
    load_into(layers, {**params, "F7": {**params["F7"], "kernel": dense}}, ("C1", "C3", "C5", "F7", "head"))
    c1, c3, c5, f7, f8 = layers
    average = nn.AvgPool2d(3, 2, padding=1)
    network = nn.Sequential(
        c1, nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), c3, nn.ReLU(), average, c5, nn.ReLU(), average,
        nn.Flatten(), f7, nn.ReLU(), f8,
    )  # fmt: skip
    expected = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    assert largest_difference(model.apply({"params": params}, images), expected) <= TOLERANCE
