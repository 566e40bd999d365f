"""What a step has freed stays in malloc's hands, where the next step finds it without a page from the kernel."""

import os
import platform
import subprocess
import sys

import pytest

BLOCK = 64 << 20
PROGRAM = """
import ctypes, sys, time
if sys.argv[1] == "kept":
    from jaxvision.heap import keep_freed_pages
    keep_freed_pages()
import jax, jax.numpy as jnp

class Mallinfo2(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    _fields_ = [(name, ctypes.c_size_t) for name in names]

@jax.jit
def step(x):
    square = x @ x.T  # 64 MiB
    return jnp.tanh(square) @ x

x = jnp.ones((4096, 8))
step(x).block_until_ready()
mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo2
deadline = time.monotonic() + 5  # a result is ready a moment before the block of its program is freed
while mallinfo2().fordblks < 64 << 20 and time.monotonic() < deadline:
    time.sleep(0.05)
print(mallinfo2().fordblks)
"""


def free_bytes_after_a_step(heap):
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    command = [sys.executable, "-c", PROGRAM, heap]
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_the_block_of_a_step_stays_with_the_process():
    assert free_bytes_after_a_step("freed") < BLOCK <= free_bytes_after_a_step("kept")
