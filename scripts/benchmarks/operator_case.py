"""What the suite `operators` measures of each: milliseconds, and how far they are from what the machine allows."""

import jax
import numpy as np
import torch

from scripts.benchmarks.case import Case
from scripts.benchmarks.roofline import bound_seconds
from scripts.benchmarks.timing import seconds_a_call
from scripts.benchmarks.training_torch import THREADS

FLOAT_BYTES = 4


def operator(name, ours, peers, flops, shapes):
    """A case in milliseconds whose lines tell how far it is from what the machine allows.

    `shapes` are those of all arrays that have to be read or written.
    """
    moved_bytes = FLOAT_BYTES * sum(map(np.prod, shapes))

    def columns(milliseconds):
        return {
            "gflop": float(flops / 1e9),
            "gflop_per_s": float(flops / 1e6 / milliseconds),
            "megabytes": float(moved_bytes / 1e6),
            "roofline_ms": 1e3 * bound_seconds(flops, moved_bytes),
        }

    return Case(name, "ms", ours, peers, less_is_better=True, columns=columns)


def in_jax(function, *arrays):
    """Milliseconds of a function of arrays, jitted."""
    compiled, arrays = jax.jit(function), jax.device_put(arrays)
    return lambda: 1e3 * seconds_a_call(lambda: jax.block_until_ready(compiled(*arrays)))


def in_torch(call):
    def run():
        torch.set_num_threads(THREADS)
        return 1e3 * seconds_a_call(call)

    return run


def random(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]
