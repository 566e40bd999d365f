"""Compile the oneDNN form of convolution, which trains on a CPU as fast as PyTorch does.

  JAXVISION_EXTRAS=onednn scripts/run scripts/build_onednn.py

Needs Linux on x86-64 and a C++ compiler ($CXX, g++ or clang++); the extra `onednn` installs the library itself.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax

from jaxvision.errors import InputError
from jaxvision.ops.convolution.onednn import LIBRARY, SOURCE


def main() -> None:
    compiler = find_compiler()
    include = installed("onednn-devel-cpu-gomp", "oneapi/dnnl/dnnl.hpp").parents[2]
    shared_library = installed("onednn-cpu-gomp", "libdnnl.so.3")
    partial = LIBRARY.with_suffix(f".{os.getpid()}.partial")
    command = [
        *(compiler, "-std=c++17", "-O2", "-shared", "-fPIC", "-fopenmp", "-Wall"),
        *("-isystem", include, "-isystem", jax.ffi.include_dir(), SOURCE, "-o", partial),
        *(shared_library, f"-Wl,-rpath,{shared_library.parent}"),
    ]
    LIBRARY.parent.mkdir(exist_ok=True)
    try:
        if subprocess.run(command, check=False).returncode:
            raise InputError(f"{compiler} could not compile {SOURCE}, see above")
        partial.replace(LIBRARY)  # at once: a process that runs keeps the file it has mapped
    finally:
        partial.unlink(missing_ok=True)
    print(f"built {LIBRARY}: convolutions on the CPU use it from now on, except where JAXVISION_ONEDNN=0")


def find_compiler() -> str:
    """The first C++ compiler there is."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    found = [name for name in names if shutil.which(name)]
    if not found:
        raise InputError(f"no C++ compiler found: expected {' or '.join(names)}; $CXX names another")
    return found[0]


def installed(package: str, ending: str) -> Path:
    """The file of an installed package whose path ends so."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = [Path(file.locate()).resolve() for file in files if file.as_posix().endswith(ending)]
    if not found:
        raise InputError(f"{package} is not installed: expected the extra `onednn` (Linux on x86-64 only)")
    return found[0]


if __name__ == "__main__":
    if sys.argv[1:]:
        print(__doc__)
        raise SystemExit(0 if sys.argv[1] in ("-h", "--help") else 2)
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
