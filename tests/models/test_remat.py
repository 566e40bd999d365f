"""Rematerialised layers that are not modules of their own; those of residual networks have tests beside them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from tests.ops.numerics import assert_close, compiled

KEY = jax.random.key(0)
CASES = {  # name: (fields, image size, rematerialised layers)
    "alexnet": ({"features": [8] * 5, "hidden": 16}, 63, 5),
    "alexnet_2012": ({"features": [8] * 5, "hidden": 16}, 67, 5),
    "nin": ({"features": [8] * 8}, 8, 3),
    "vgg11_bn": ({"depths": [1, 2], "features": [4, 8], "hidden": 16}, 16, 3),
}


@pytest.mark.parametrize("name", CASES)
def test_remat_changes_neither_variables_nor_gradients_nor_taps(name):
    fields, size_px, layers = CASES[name]
    model = models.create(name, num_classes=3, dropout_rate=0.0, **fields)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, size_px, size_px, 3)), jnp.float32)
    variables = compiled(partial(models.initialise, model))(KEY, images)

    def training(model, params):
        logits, state = model.apply(
            {**variables, "params": params}, images, train=True, mutable=["batch_stats", "intermediates"]
        )
        return jnp.sum(jnp.sin(logits)), state

    lean = model.clone(remat=True)
    assert jax.eval_shape(partial(models.initialise, lean), KEY, images) == jax.eval_shape(lambda: variables)
    program = str(jax.make_jaxpr(partial(training, lean))(variables["params"]))
    assert program.count("checkpoint[") + program.count("remat2[") == layers
    both = compiled(lambda params: [jax.grad(partial(training, m), has_aux=True)(params) for m in (lean, model)])
    assert_close(*both(variables["params"]), 1e-4)
