"""The axis over which a batch is split, and random numbers that belong to examples.

A train step sees one device's part of the batch, mapped over the axis `BATCH_AXIS`. What is drawn for an example
depends on the example's row in the *global* batch, so the same numbers come out on one device or on a thousand.
Outside any mapping the batch at hand is the whole batch.
"""

import math

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32

BATCH_AXIS = "batch"


def is_mapped() -> bool:
    """Whether the calling code runs once per device, under a mapping over `BATCH_AXIS`."""
    try:
        jax.lax.axis_index(BATCH_AXIS)
    except NameError:
        return False
    return True


def needs_reduction() -> bool:
    """Whether a sum over the batch is a `psum`: not outside any mapping, nor on a device with the whole batch.

    There it would copy every leaf. Under a `vmap`, as of the layout `sharded`, it costs nothing.
    """
    mesh = jax.sharding.get_abstract_mesh()
    alone = BATCH_AXIS in mesh.manual_axes and mesh.shape[BATCH_AXIS] == 1
    return is_mapped() and not alone


def global_rows(local_batch: int) -> jax.Array:
    """Rows [local_batch] (int32) of the global batch that this device holds."""
    first = jax.lax.axis_index(BATCH_AXIS) * local_batch if is_mapped() else 0
    return first + jnp.arange(local_batch)


def row_keys(key: jax.Array, local_batch: int) -> jax.Array:
    """One key per example [local_batch], the same whatever the number of devices."""
    return jax.vmap(lambda row: jax.random.fold_in(key, row))(global_rows(local_batch))


def row_uniform(key: jax.Array, local_batch: int, shape: tuple[int, ...] = ()) -> jax.Array:
    """Uniform numbers in [0, 1) for each example, float32 [local_batch, *shape], whatever the number of devices.

    Each number is a hash of (row, position) under the key, the counter-based generator of Salmon et al. 2011
    ("Parallel random numbers: as easy as 1, 2, 3") that is behind JAX's keys. To hash a key for each row first,
    and draw from those, is the same in spirit but a third of a small network's compilation on a CPU.
    """
    count = math.prod(shape)
    rows = jnp.repeat(global_rows(local_batch), count)
    positions = jnp.tile(jnp.arange(count), local_batch)
    counters = jnp.concatenate([rows, positions]).astype(jnp.uint32)
    bits = threefry_2x32(jax.random.key_data(key)[:2], counters)[: len(rows)]
    fractions = (bits >> 8).astype(jnp.float32) * 2**-24  # as many bits as float32 can tell apart near 1
    return fractions.reshape(local_batch, *shape)


def sum_over_batch(tree):
    """Sum every leaf over the devices that share the batch."""
    return jax.lax.psum(tree, BATCH_AXIS) if needs_reduction() else tree
