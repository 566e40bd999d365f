"""Devices: the same per-device step bound to one accelerator, to many, or to many machines."""

from jaxvision.errors import InputError
from jaxvision.parallel.mesh import make_mesh
from jaxvision.parallel.pmap import Pmap
from jaxvision.parallel.replicate import Replicate
from jaxvision.parallel.sharded import Sharded

LAYOUTS = {"replicate": Replicate, "pmap": Pmap, "sharded": Sharded}


def make_layout(name: str, devices=None) -> Replicate | Pmap | Sharded:
    """The layout called `name` over `devices` (default: all)."""
    if name not in LAYOUTS:
        raise InputError(f"unknown layout {name!r}: expected one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name](make_mesh(devices))


__all__ = ["LAYOUTS", "Pmap", "Replicate", "Sharded", "make_layout", "make_mesh"]
