"""One axis of devices over all processes, and which rows of a global batch each process supplies."""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from jaxvision.batch_axis import BATCH_AXIS
from jaxvision.errors import InputError


def make_mesh(devices=None) -> Mesh:
    """A one-axis mesh over `devices` (default: all of all processes), the devices of a process side by side.

    Contiguity makes the rows of a process one slice of the global batch, on every topology.
    """
    devices = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    return Mesh(np.array(devices), (BATCH_AXIS,), axis_types=(AxisType.Auto,))


def process_rows(mesh: Mesh, batch_size: int) -> slice:
    """Rows of the global batch that this process supplies.

    Raises:
      InputError: `batch_size` is not a multiple of the number of devices.
    """
    devices = mesh.devices.size
    if batch_size % devices:
        raise InputError(
            f"a batch of {batch_size} does not divide over {devices} devices: give --batch-size a multiple of it"
        )
    per_device = batch_size // devices
    local = [i for i, device in enumerate(mesh.devices.flat) if device.process_index == jax.process_index()]
    return slice(local[0] * per_device, (local[-1] + 1) * per_device)
