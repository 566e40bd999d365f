"""Flax linen models, one family per file, and the catalogue of them."""

from jaxvision.models.blocks import initialise, parameter_count
from jaxvision.models.catalog import create, names

__all__ = ["create", "initialise", "names", "parameter_count"]
