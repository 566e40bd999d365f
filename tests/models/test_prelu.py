import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import models
from jaxvision.models.prelu import PReLU, prelu


def test_the_slopes_are_parameters():
    x = jnp.array([[-2.0, -2.0, 3.0]])
    variables = PReLU().init(jax.random.key(0), x)
    np.testing.assert_array_equal(variables["params"]["slope"], [0.25] * 3)
    np.testing.assert_array_equal(PReLU().apply(variables, x), [[-0.5, -0.5, 3]])
    gradient = jax.grad(lambda variables: PReLU().apply(variables, x).sum())(variables)
    np.testing.assert_array_equal(gradient["params"]["slope"], [-2, -2, 0])


def test_every_layer_of_a_model_has_its_own():
    model = models.create("mlp", features=[3, 4], act=prelu)
    params = model.init(jax.random.key(0), jnp.zeros((1, 2, 2, 1)))["params"]
    assert {name: tree["slope"].shape for name, tree in params.items() if "slope" in tree} == {
        "PReLU_0": (3,),
        "PReLU_1": (4,),
    }
