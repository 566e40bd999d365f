"""Several processes, one program: joining them, and what only one of them does."""

import itertools
import os

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxvision.errors import InputError

_asked = itertools.count()


def initialise() -> None:
    """Join the other processes when the environment names them; do nothing on a single machine.

    Set `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID` in each process. On Cloud TPU pods
    and under Slurm set `JAX_COORDINATOR_ADDRESS=auto`: JAX finds the rest.
    """
    address = os.environ.get("JAX_COORDINATOR_ADDRESS")
    if not address:
        return
    if address == "auto":
        del os.environ["JAX_COORDINATOR_ADDRESS"]
        jax.distributed.initialize()
        return
    try:
        processes, process = (int(os.environ[name]) for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"))
    except (KeyError, ValueError):
        raise InputError(
            "JAX_COORDINATOR_ADDRESS is set: expected numbers in JAX_NUM_PROCESSES and JAX_PROCESS_ID as well"
        ) from None
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, processes, process)


def is_lead() -> bool:
    """Whether this process writes the files that exist once per run."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def fetch(tree):
    """Device arrays as numpy arrays, whole, in every process."""

    def whole(leaf):
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable and not leaf.is_fully_replicated:
            return multihost_utils.process_allgather(leaf, tiled=True)
        return leaf

    return jax.tree.map(np.asarray, jax.device_get(jax.tree.map(whole, tree)))


def preempted() -> bool:
    """Whether a SIGTERM reached any process; all processes answer alike.

    Only where several processes run: there JAX itself catches the signal, and agrees on a number after those
    already asked for, so the numbers count the calls of the whole process.
    """
    return jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(next(_asked))
