"""Everything that training changes, as one tree of arrays."""

import hashlib

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision.parallel.multihost import fetch


@flax.struct.dataclass
class State:
    """Arrays only, the same shapes in every layout.

    Attributes:
      step: number of updates made, int32 [].
      params: what the optimiser changes.
      model_state: what the model changes by itself, such as batch statistics.
      opt_state: what the optimiser remembers.
      key: data of the root random key, uint32; a step's key is `fold_in(root, step)`.
      hyper: numbers a population may vary, float32 [] each, such as the learning rate.
    """

    step: jax.Array
    params: dict
    model_state: dict
    opt_state: optax.OptState
    key: jax.Array
    hyper: dict

    @property
    def variables(self) -> dict:
        """What the model is applied with."""
        return {"params": self.params, **self.model_state}


def create_state(variables: dict, tx: optax.GradientTransformation, key: jax.Array, hyper: dict) -> State:
    """The state before the first step."""
    model_state = {name: tree for name, tree in variables.items() if name != "params"}
    return State(
        step=jnp.int32(0),
        params=variables["params"],
        model_state=model_state,
        opt_state=tx.init(variables["params"]),
        key=jax.random.key_data(key),
        hyper={name: jnp.float32(value) for name, value in hyper.items()},
    )


def inject_hyper(opt_state: optax.OptState, hyper: dict) -> optax.OptState:
    """Hand the numbers of `hyper` to every `optax.inject_hyperparams` that has a parameter of that name."""

    def is_injected(node):
        return hasattr(node, "hyperparams")

    def inject(node):
        if not is_injected(node):
            return node
        values = {
            name: hyper[name].astype(value.dtype) if name in hyper else value
            for name, value in node.hyperparams.items()
        }
        return node._replace(hyperparams=values)

    return jax.tree.map(inject, opt_state, is_leaf=is_injected)


def digest(variables: dict) -> str:
    """SHA-256 of the names, shapes and bytes of all variables: equal exactly when they are bit-equal."""
    checksum = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(fetch(variables)):
        checksum.update(f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}\n".encode())
        checksum.update(np.ascontiguousarray(leaf).tobytes())
    return checksum.hexdigest()
