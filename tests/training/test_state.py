import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision.training.state import create_state, digest


def test_variables_come_back_out_of_a_state():
    variables = {"params": {"w": jnp.ones(2)}, "batch_stats": {"mean": jnp.zeros(2)}}
    state = create_state(variables, optax.sgd(0.1), jax.random.key(5), {"learning_rate": 0.1})
    assert state.variables == variables
    np.testing.assert_array_equal(state.key, jax.random.key_data(jax.random.key(5)))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))


def test_digest_tells_apart_whatever_is_not_bit_equal():
    w = np.array([1.0, 0.0], np.float32)
    variables = {"params": {"w": w}}
    others = [
        {"params": {"v": w}},
        {"params": {"w": w.reshape(1, 2)}},
        {"params": {"w": w.view(np.int32)}},
        {"params": {"w": np.array([1.0, -0.0], np.float32)}},
        {"params": {"w": np.nextafter(w, 2, dtype=np.float32)}},
        {"batch_stats": {"w": w}},
    ]
    assert digest(variables) == digest({"params": {"w": jnp.asarray(w)}})
    assert len({digest(tree) for tree in [variables, *others]}) == 7
