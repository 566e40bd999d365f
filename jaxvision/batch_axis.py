"""The axis over which a batch is split, and random keys that belong to examples.

A train step sees one device's part of the batch, mapped over the axis `BATCH_AXIS`. Whatever is drawn for an
example is drawn from a key of its own, made from the example's row in the *global* batch, so the same numbers
come out on one device or on a thousand. Outside any mapping the batch at hand is the whole batch.
"""

import jax
import jax.numpy as jnp

BATCH_AXIS = "batch"


def is_mapped() -> bool:
    """Whether the calling code runs once per device, under a mapping over `BATCH_AXIS`."""
    try:
        jax.lax.axis_index(BATCH_AXIS)
    except NameError:
        return False
    return True


def global_rows(local_batch: int) -> jax.Array:
    """Rows [local_batch] (int32) of the global batch that this device holds."""
    first = jax.lax.axis_index(BATCH_AXIS) * local_batch if is_mapped() else 0
    return first + jnp.arange(local_batch)


def row_keys(key: jax.Array, local_batch: int) -> jax.Array:
    """One key per example [local_batch], the same whatever the number of devices."""
    return jax.vmap(lambda row: jax.random.fold_in(key, row))(global_rows(local_batch))


def sum_over_batch(tree):
    """Sum every leaf over the devices that share the batch."""
    return jax.lax.psum(tree, BATCH_AXIS) if is_mapped() else tree
