"""Convolution on a CPU by oneDNN, the library that PyTorch calls: a compiled kernel, for those who built it.

`scripts/build_onednn.py` compiles onednn.cc; what it makes is used from then on, unless JAXVISION_ONEDNN=0. The
forms of `cpu` are the reference and serve whatever this one does not.
"""

import ctypes
import functools
import os
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.ops.convolution.geometry import ROLES, Geometry

SOURCE = Path(__file__).with_suffix(".cc")
LIBRARY = Path(__file__).with_name("built") / "libjaxvision_onednn.so"
TARGET = "jaxvision_convolution"


def serves(dtype: jax.typing.DTypeLike) -> bool:
    """Whether oneDNN is built, wanted, and computes with this type."""
    return dtype == jnp.float32 and os.environ.get("JAXVISION_ONEDNN") != "0" and is_loaded()


@functools.cache
def is_loaded() -> bool:
    """Whether the kernel is there and known to XLA; looks once. Warns where it is there and does not load."""
    if not LIBRARY.exists():
        return False
    try:
        handler = getattr(ctypes.CDLL(LIBRARY), TARGET)
    except OSError as error:  # the environment was made anew without the extra `onednn`
        warnings.warn(f"convolutions do without oneDNN ({error}): build it anew or remove {LIBRARY}", stacklevel=2)
        return False
    jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(handler), platform="cpu")
    return True


def onednn_form(wanted: str, geometry: Geometry, **arrays: jax.Array) -> jax.Array:
    """`trilinear.convolve` in float32."""
    numbers = (
        *(*geometry.size, geometry.channels(**arrays)),
        *(*geometry.out_size, geometry.features(**arrays)),
        *(*geometry.window, *geometry.stride, *geometry.padding, *geometry.dilation, geometry.groups),
    )
    shape = jax.ShapeDtypeStruct(geometry.shape(wanted, **arrays), jnp.float32)
    call = jax.ffi.ffi_call(TARGET, shape)
    operands = (arrays[role] for role in ROLES if role != wanted)
    return call(*operands, wanted=np.int64(ROLES.index(wanted)), geometry=np.array(numbers, np.int64))
