"""State on every device, the batch split: `jax.pmap`, with State unstacked.

In maintenance since JAX 0.8; kept because a lot of code and teaching is written for it.
"""

from dataclasses import dataclass

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxvision.batch_axis import BATCH_AXIS
from jaxvision.parallel.replicate import Replicate


@dataclass(frozen=True)
class Pmap(Replicate):
    """Binds per-device functions with `pmap`; the batch travels as [..., local devices, rows a device, ...]."""

    def bind(self, fn, in_axes, *, donate=()):
        """Map `fn` over the devices; see `Replicate.bind`. Unstacked arguments can't be donated to `pmap`."""
        devices = list(self.mesh.devices.flat)
        return jax.pmap(fn, axis_name=BATCH_AXIS, in_axes=in_axes, out_axes=None, devices=devices)

    def place(self, tree):
        """Put State, or data every device sees whole, on the devices of this process."""
        mesh = Mesh(np.array(self.mesh.local_devices), (BATCH_AXIS,))
        return jax.device_put(jax.tree.map(np.asarray, tree), NamedSharding(mesh, P()))

    def place_batch(self, tree, axis: int = 0):
        """Cut dimension `axis` of this process's rows into [local devices, rows a device]."""
        devices = len(self.mesh.local_devices)

        def cut(leaf):
            return leaf.reshape(*leaf.shape[:axis], devices, -1, *leaf.shape[axis + 1 :])

        return jax.tree.map(cut, tree)

    def saveable(self, tree):
        """The tree as host arrays: a checkpoint can't be written from arrays local to one process."""
        return jax.tree.map(np.asarray, tree)
