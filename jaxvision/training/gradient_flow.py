"""How much gradient reaches each layer: whether it vanishes or explodes on its way from the loss."""

import math
import re

import jax
import jax.numpy as jnp


def layers_by_depth(params: dict) -> list[str]:
    """Names of the layers that have a "kernel", the one next to the images first, as in "stage1_block2/conv1".

    Depth is what the numbers in a name say: hidden2 < hidden10, C1 < F6; a name without any, `head`, is last.
    """
    return list(_kernels_by_depth(params))


def gradient_norms(gradients: dict) -> jax.Array:
    """Euclidean norm [L] of the gradient at the kernel of each of `layers_by_depth`, from a tree like `params`.

    Their largest over their smallest tells vanishing and exploding gradients from healthy ones (Glorot & Bengio
    2010, 4.2; He et al. 2015, "Delving deep into rectifiers", 2.2).
    """
    return jnp.stack([jnp.linalg.norm(jnp.ravel(kernel)) for kernel in _kernels_by_depth(gradients).values()])


def _kernels_by_depth(tree):
    kernels = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        *layer, kind = (entry.key for entry in path)
        if kind == "kernel":
            kernels["/".join(layer)] = leaf
    return dict(sorted(kernels.items(), key=lambda item: _depth(item[0])))


def _depth(name):
    return name == "head", [int(number) for number in re.findall(r"\d+", name)] or [math.inf]
