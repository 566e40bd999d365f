import jax
import numpy as np
import pytest

from jaxvision import data
from jaxvision.errors import InputError
from jaxvision.tasks.small_images import SHORTCUTS, Recipe, by_depth, small_image_task

SPLITS = data.load("cifar10", fake=True)


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_depth_counts_layers_with_weights(kind):
    """Two kernels a block, the first convolution and the classifier; shortcuts of the paper have none."""
    task = by_depth(Recipe(), SPLITS, 14, kind)
    params = jax.eval_shape(task.init, jax.random.key(0), {})["params"]
    kernels = [path for path, _ in jax.tree_util.tree_leaves_with_path(params) if path[-1].key == "kernel"]
    assert len(kernels) == 14
    assert task.record["fields"]["shortcut"] == SHORTCUTS[kind]


@pytest.mark.parametrize("layers", [2, 21])
def test_other_depths_are_refused(layers):
    with pytest.raises(InputError, match=f"{layers} layers: expected 2 more than a multiple of 6"):
        by_depth(Recipe(), SPLITS, layers, "plain")


def test_the_learning_rate_falls_at_half_and_at_three_quarters():
    """Gradient descent without momentum or decay on a gradient of 1: the steps are the learning rates."""
    config = Recipe(steps=8, momentum=0.0, weight_decay=0.0)
    tx = small_image_task(config, SPLITS, "multiperceptron").tx
    params = {"w": np.zeros(1, np.float32)}
    state, sizes = tx.init(params), []
    for _ in range(8):
        updates, state = tx.update({"w": np.ones(1, np.float32)}, state, params)
        sizes.append(-float(updates["w"][0]))
    np.testing.assert_allclose(sizes, [0.1] * 4 + [0.01] * 2 + [0.001] * 2, rtol=1e-5)
