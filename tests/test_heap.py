"""Steps after the first find the memory of the first: a kernel that hands out no page reports no fault."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
if sys.argv[1] == "kept":
    from jaxvision.heap import keep_freed_pages
    keep_freed_pages()
import jax, jax.numpy as jnp

@jax.jit
def step(x):
    square = x @ x.T  # 64 MiB
    return jnp.tanh(square) @ x

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

x = jnp.ones((4096, 8))
for _ in range(2):
    step(x).block_until_ready()
before = faults()
step(x).block_until_ready()
print(faults() - before)
"""


def faults_of_a_step(heap):
    finished = subprocess.run([sys.executable, "-c", PROGRAM, heap], capture_output=True, text=True, check=True)
    return int(finished.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_a_repeated_step_faults_in_no_page():
    huge_pages = (64 << 20) // (2 << 20)
    assert faults_of_a_step("kept") < huge_pages <= faults_of_a_step("freed")
