"""Autodiff equals central differences in float64, for every loss, activation, pooling, normalisation and layer.

One table for each, of cases (function, arrays to differentiate by), and a test that finds what is missing from it.
"""

import functools
import importlib
import inspect
import pkgutil

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import losses
from jaxvision.models import blocks
from jaxvision.ops import activations, normalization, pooling
from jaxvision.ops.finite_differences import central_difference, relative_error
from tests.ops.numerics import KINK_DISTANCE, STEP, compiled

TOLERANCE = 1e-6
GAP = 0.3


def spread(*shape, seed=0):
    """Different numbers in random order, GAP apart, and those next to 0 half of that: far from kinks and ties."""
    size = np.prod(shape)
    return GAP * (np.random.default_rng(seed).permutation(size) - size // 2 + 0.5).reshape(shape)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def positive(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2, shape)


def distributions(*shape, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(shape[-1], 30.0), shape[:-1])


BATCH, CLASSES = 4, 3
LABELS, SIGNS = np.array([0, 2, 1, 1]), np.sign(normal(BATCH, CLASSES, seed=1))
SCORES, X = spread(BATCH, CLASSES), normal(BATCH, 5, seed=2)
TARGETS = distributions(BATCH, CLASSES)
LAYERS = (normal(6, 5, seed=3), normal(6)), (normal(CLASSES, 6, seed=4), normal(CLASSES))


def perceptrons_gradients(layers, loss):
    """The loss and the gradients: those are differentiated once more."""
    return losses.multiperceptron_gradients(*layers[0], X, distributions(BATCH, 6), loss=loss)


LOSSES = {
    "binary_hinge": [(lambda scores: losses.binary_hinge(scores, SIGNS), SCORES)],
    "entropy": [(losses.entropy, TARGETS)],
    "kl_divergence": [(losses.kl_divergence, TARGETS, distributions(BATCH, CLASSES, seed=1))],
    "l1_penalty": [(lambda tree: losses.l1_penalty(tree, mask={"w": True, "b": False}), {"w": SCORES, "b": X})],
    "l2_penalty": [(losses.l2_penalty, {"w": SCORES, "b": X})],
    "mlp_gradients": [
        (lambda layers, loss=loss: losses.mlp_gradients(*layers, X, TARGETS, loss=loss), LAYERS)
        for loss in ("cross_entropy", "squared")
    ],
    "multiclass_hinge": [
        (lambda scores, margin=margin: losses.multiclass_hinge(scores, LABELS, margin=margin), SCORES)
        for margin in (1.0, 0.5)
    ],
    "multiperceptron_gradients": [
        (functools.partial(perceptrons_gradients, loss=loss), LAYERS) for loss in ("cross_entropy", "squared")
    ],
    "perceptron_criterion": [(lambda scores: losses.perceptron_criterion(scores, SIGNS), SCORES)],
    "softmax_cross_entropy": [
        (lambda scores: losses.softmax_cross_entropy(scores, LABELS, label_smoothing=0.1), SCORES),
        (losses.softmax_cross_entropy, SCORES, TARGETS),
    ],
    "squared_error": [(losses.squared_error, SCORES, normal(BATCH, CLASSES))],
}

PLANE = spread(6, 8)
ACTIVATIONS = {
    **{name: [(function, PLANE)] for name, function in activations.ACTIVATIONS.items()},
    "crelu": [(activations.crelu, PLANE)],
    "leaky_relu": [(lambda x, slope: activations.leaky_relu(x, slope=slope), PLANE, np.float64(0.2))],
    "maxout": [(lambda x: activations.maxout(x, 2), PLANE)],
    "prelu": [(activations.prelu, PLANE, normal(8)), (activations.prelu, PLANE, np.float64(0.2))],
}

IMAGES = spread(2, 5, 6, 2)
WINDOWS = {"window": (3, 2), "stride": (2, 1), "padding": 1, "ceil_mode": True}
POOLINGS = {
    **{
        name: [(functools.partial(getattr(pooling, name), **WINDOWS), IMAGES)]
        for name in ("max_pool", "sum_pool", "avg_pool")
    },
    "max_pool_with_switches": [(lambda images: pooling.max_pool_with_switches(images, **WINDOWS)[0], IMAGES)],
    "adaptive_avg_pool": [(lambda images: pooling.adaptive_avg_pool(images, (3, 4)), IMAGES)],
    "adaptive_max_pool": [(lambda images: pooling.adaptive_max_pool(images, (3, 4)), IMAGES)],
    "global_avg_pool": [(pooling.global_avg_pool, IMAGES)],
    "global_max_pool": [(pooling.global_max_pool, IMAGES)],
}

FEATURES, SCALE, SHIFT = normal(3, 2, 2, 4), positive(4), normal(4, seed=1)
MASK = np.array([True, False, True])
NORMALISATIONS = {
    "batch_norm": [(normalization.batch_norm, FEATURES, normal(4), positive(4), SCALE, SHIFT)],
    "batch_statistics": [
        (lambda x: normalization.batch_statistics(x)[:2], FEATURES),
        (lambda x: normalization.batch_statistics(x, mask=MASK)[:2], FEATURES),
    ],
    "group_norm": [(lambda *arrays: normalization.group_norm(*arrays, groups=2), FEATURES, SCALE, SHIFT)],
    "layer_norm": [(normalization.layer_norm, FEATURES, SCALE, SHIFT)],
    "local_response_norm": [(lambda x: normalization.local_response_norm(x, size=3, alpha=0.1), FEATURES)],
}


def layer(module, x, seed=0, **options):
    """A case: the module as a function of its variables, drawn anew, and of x."""
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    updates = ["batch_stats"] if options.get("train") else []
    with jax.enable_x64(True):
        shapes = jax.eval_shape(lambda: module.init(rngs, x, **options))
    rng = np.random.default_rng(seed)
    variables = jax.tree.map(lambda leaf: rng.uniform(0.5, 2, leaf.shape) * rng.choice([-1, 1], leaf.shape), shapes)
    if "batch_stats" in variables:
        variables["batch_stats"]["var"] = np.abs(variables["batch_stats"]["var"])

    def apply(variables, x):
        return module.apply(variables, x, rngs=rngs, mutable=updates, **options)[0]

    return apply, variables, x


CONVOLUTION = {"stride": (2, 1), "padding": 1, "dtype": jnp.float64}
NETWORK_LAYERS = {
    "BatchNorm": [layer(blocks.BatchNorm(), FEATURES, train=train) for train in (True, False)],
    "Conv": [
        layer(blocks.Conv(4, 3, dtype=jnp.float64), IMAGES),
        layer(blocks.Conv(4, (3, 2), groups=2, **CONVOLUTION), IMAGES),
        layer(blocks.Conv(4, 1, use_bias=False, dtype=jnp.float64), IMAGES),
    ],
    "ConvTranspose": [
        layer(blocks.ConvTranspose(3, 3, output_padding=(1, 0), **CONVOLUTION), IMAGES),
        layer(blocks.ConvTranspose(3, 2, dilation=2, use_bias=False, dtype=jnp.float64), IMAGES),
    ],
    "Dense": [layer(nn.Dense(4), X), layer(blocks.Dense(4), X)],
    "Dropout": [layer(blocks.Dropout(0.4), X, train=train) for train in (True, False)],
    "GroupNorm": [layer(blocks.GroupNorm(group_size=2), FEATURES)],
    "LayerNorm": [layer(blocks.LayerNorm(), FEATURES)],
}

TABLES = {
    "loss": LOSSES,
    "activation": ACTIVATIONS,
    "pooling": POOLINGS,
    "normalisation": NORMALISATIONS,
    "layer": NETWORK_LAYERS,
}
CASES = {
    f"{kind}-{name}-{number}": case
    for kind, table in TABLES.items()
    for name, cases in table.items()
    for number, case in enumerate(cases)
}


def public(module, kind=callable):
    """Names that a module defines itself and does not hide."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and kind(value) and getattr(value, "__module__", None) == module.__name__
    }


def modules_of(package):
    return [
        importlib.import_module(f"{package.__name__}.{file.name}")
        for file in pkgutil.iter_modules(package.__path__)
    ]


def test_the_tables_are_complete():
    """Whoever adds one of these adds a case."""
    assert LOSSES.keys() == set().union(*map(public, modules_of(losses))) == set(losses.__all__)
    assert ACTIVATIONS.keys() == activations.ACTIVATIONS.keys() | public(activations)
    assert POOLINGS.keys() == public(pooling)
    assert NORMALISATIONS.keys() == public(normalization)
    assert NETWORK_LAYERS.keys() == public(blocks, is_layer) | {"Dense"}


def is_layer(value):
    return inspect.isclass(value) and issubclass(value, nn.Module)


def test_points_are_far_from_kinks():
    """Of hinges at a margin, of the activations' 0 and 6, and of ties in a window."""
    for points in (SCORES, PLANE, IMAGES):
        assert np.diff(np.sort(points, axis=None)).min() >= KINK_DISTANCE
        for kink in (0, 6):
            assert np.abs(points - kink).min() >= KINK_DISTANCE
    assert np.abs(1 - SCORES * SIGNS).min() >= KINK_DISTANCE
    own = np.take_along_axis(SCORES, LABELS[:, None], axis=1)
    for margin in (1.0, 0.5):
        assert np.abs(SCORES - own + margin).min() >= KINK_DISTANCE


@pytest.mark.parametrize("case", CASES)
def test_autodiff_is_the_central_difference(case):
    function, *arrays = CASES[case]

    def weighted_sum(arrays):
        leaves = jax.tree.leaves(function(*arrays))
        weights = np.cos(np.arange(sum(leaf.size for leaf in leaves)))
        return jnp.vdot(weights, jnp.concatenate([leaf.reshape(-1) for leaf in leaves]))

    @compiled
    def both(arrays):
        return jax.grad(weighted_sum)(arrays), central_difference(weighted_sum, arrays, h=STEP)

    with jax.enable_x64(True):
        gradient, difference = both(arrays)
        assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {np.dtype("float64")}
        assert relative_error(gradient, difference) < TOLERANCE
