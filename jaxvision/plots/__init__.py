"""Figures and the report of a run: numpy in, a matplotlib Figure out, no global state."""

from jaxvision.plots.animation import animation
from jaxvision.plots.bars import bars
from jaxvision.plots.bubbles import bubbles
from jaxvision.plots.confusion import confusion_matrix
from jaxvision.plots.curves import training_curves
from jaxvision.plots.distributions import histograms_by_layer
from jaxvision.plots.files import save
from jaxvision.plots.grids import image_grid, image_rows, mistakes, responses
from jaxvision.plots.heatmap import table_heatmap
from jaxvision.plots.lines import lines, small_multiples
from jaxvision.plots.predictions import predictions
from jaxvision.plots.report import write_report
from jaxvision.plots.scatter import scatter
from jaxvision.plots.surfaces import Surface, decision_surface, decision_surfaces, grid_points
from jaxvision.plots.trajectories import descent_1d, descent_2d, descent_2d_frames

__all__ = [
    "Surface",
    "animation",
    "bars",
    "bubbles",
    "confusion_matrix",
    "decision_surface",
    "decision_surfaces",
    "descent_1d",
    "descent_2d",
    "descent_2d_frames",
    "grid_points",
    "histograms_by_layer",
    "image_grid",
    "image_rows",
    "lines",
    "mistakes",
    "predictions",
    "responses",
    "save",
    "scatter",
    "small_multiples",
    "table_heatmap",
    "training_curves",
    "write_report",
]
