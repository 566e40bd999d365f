"""State and batch both split over the devices; the compiler inserts the communication.

The per-device step runs once, on the global batch, under a mapping of size one: its reductions over the axis are
the identity, and the shardings of State and batch make the compiler put the real ones where they are needed.
Every large enough array of the State is cut along its longest divisible dimension, as in ZeRO (Rajbhandari et
al. 2020, section 5.3), so parameters and optimiser state take 1/n of the memory on each of n devices.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxvision.batch_axis import BATCH_AXIS
from jaxvision.parallel.replicate import Replicate, batch_spec

MIN_ELEMENTS_TO_SPLIT = 1024  # below, the message costs more than the memory


@dataclass(frozen=True)
class Sharded(Replicate):
    """Binds per-device functions with `jit` and shardings; places State where `sharding` says."""

    def bind(self, fn, in_axes, *, donate=()):
        """Run `fn` on global arrays; see `Replicate.bind`."""
        mapped = jax.vmap(fn, in_axes=in_axes, out_axes=None, axis_name=BATCH_AXIS, axis_size=1)

        def run(*args):
            args = (
                arg if axis is None else jax.tree.map(lambda leaf, axis=axis: jnp.expand_dims(leaf, axis), arg)
                for arg, axis in zip(args, in_axes)
            )
            return jax.tree.map(
                lambda leaf: jax.lax.with_sharding_constraint(leaf, self.sharding(leaf.shape)), mapped(*args)
            )

        return jax.jit(run, donate_argnums=donate)

    def sharding(self, shape) -> NamedSharding:
        """Where an array of the State lives: cut along its longest dimension that the devices divide."""
        devices = self.mesh.devices.size
        divisible = [axis for axis, size in enumerate(shape) if size % devices == 0]
        if np.prod(shape) < MIN_ELEMENTS_TO_SPLIT or not divisible:
            return NamedSharding(self.mesh, P())
        return NamedSharding(self.mesh, batch_spec(max(divisible, key=lambda axis: shape[axis])))
