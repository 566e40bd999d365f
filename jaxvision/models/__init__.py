"""Flax linen models, one family per file, and the catalogue of them."""

from jaxvision.models.blocks import initialise, parameter_count
from jaxvision.models.catalog import create, names
from jaxvision.models.loading import load
from jaxvision.models.summary import summary

__all__ = ["create", "initialise", "load", "names", "parameter_count", "summary"]
