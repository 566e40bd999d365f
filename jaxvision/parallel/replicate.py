"""State on every device, the batch split: `jit` over `shard_map`."""

from dataclasses import dataclass

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxvision.batch_axis import BATCH_AXIS
from jaxvision.parallel.mesh import process_rows


def batch_spec(axis: int) -> P:
    """Partition of an array whose dimension `axis` is the batch."""
    return P(*[None] * axis, BATCH_AXIS)


def put_rows(tree, sharding: NamedSharding):
    """This process's rows of a batch as part of global arrays."""
    if sharding.is_fully_addressable:  # one process: the rows are the whole, and this way is several times faster
        return jax.device_put(tree, sharding)
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, leaf), tree)


@dataclass(frozen=True)
class Replicate:
    """Binds per-device functions to a mesh with `shard_map`."""

    mesh: Mesh

    def bind(self, fn, in_axes, *, donate=()):
        """Map `fn` over the devices.

        Args:
          fn: runs once per device with the axis `BATCH_AXIS` bound; its outputs are equal on all devices.
          in_axes: for each argument the dimension that is the batch, or None for what every device sees whole.
          donate: indices of arguments whose buffers the outputs may take over.
        """
        specs = tuple(P() if axis is None else batch_spec(axis) for axis in in_axes)
        # With check_vma=True the reductions the step already does would be done once more, silently.
        mapped = jax.shard_map(fn, mesh=self.mesh, in_specs=specs, out_specs=P(), check_vma=False)
        return jax.jit(mapped, donate_argnums=donate)

    def rows(self, batch_size: int) -> slice:
        """Rows of a global batch that this process supplies."""
        return process_rows(self.mesh, batch_size)

    def sharding(self, shape) -> NamedSharding:
        """Where an array of the State lives."""
        return NamedSharding(self.mesh, P())

    def place(self, tree):
        """Put State, or data every device sees whole, on the devices."""
        return jax.tree.map(lambda leaf: jax.device_put(leaf, self.sharding(leaf.shape)), tree)

    def place_batch(self, tree, axis: int = 0):
        """Put this process's rows of a batch on its devices, split along `axis`."""
        return put_rows(tree, NamedSharding(self.mesh, batch_spec(axis)))

    def saveable(self, tree):
        """The tree in a form a checkpoint can be written from."""
        return tree
