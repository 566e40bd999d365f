import ctypes
import sys
from pathlib import Path

import pytest

from jaxvision.training.heap import give_back

BLOCK = 32 << 10  # small enough for the heap


def resident_mib():
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's malloc is asked")
def test_what_was_freed_goes_back():
    libc = ctypes.CDLL(None)
    libc.malloc.restype = libc.memset.restype = ctypes.c_void_p
    blocks = [libc.malloc(BLOCK) for _ in range(2048)]
    last = libc.malloc(BLOCK)  # above them, so that freeing them does not shorten the heap
    for block in blocks:
        libc.memset(ctypes.c_void_p(block), 1, BLOCK)
        libc.free(ctypes.c_void_p(block))
    before = resident_mib()
    give_back()
    after = resident_mib()
    libc.free(ctypes.c_void_p(last))
    assert before - after > 32
