"""Figures and the report of a run: numpy in, a matplotlib Figure out, no global state."""

from jaxvision.plots.confusion import confusion_matrix
from jaxvision.plots.curves import training_curves
from jaxvision.plots.files import save
from jaxvision.plots.grids import image_grid, mistakes, responses
from jaxvision.plots.report import write_report

__all__ = [
    "confusion_matrix",
    "image_grid",
    "mistakes",
    "responses",
    "save",
    "training_curves",
    "write_report",
]
