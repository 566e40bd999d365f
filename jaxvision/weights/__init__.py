"""Other people's weight files into our variables, and back.

A `Layout` says what a file calls the parameters of a family of models; the engine does the rest, for all of them
and in both directions. A template is a tree of variables as `jax.eval_shape` returns it.
"""

from jaxvision.weights.conversion import counters, load, save
from jaxvision.weights.engine import class_count, to_arrays, to_variables
from jaxvision.weights.files import check_readable, read, write
from jaxvision.weights.layout import Layout
from jaxvision.weights.table import LAYOUTS, recognise

__all__ = [
    "LAYOUTS",
    "Layout",
    "check_readable",
    "class_count",
    "counters",
    "load",
    "read",
    "recognise",
    "save",
    "to_arrays",
    "to_variables",
    "write",
]
