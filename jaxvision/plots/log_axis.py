"""Plain numbers on logarithmic axes: matplotlib's own are LaTeX, which the house's style doesn't read."""

import numpy as np

FEW_DECADES = 30  # largest over smallest value up to which 2 and 5 are named beside the powers of ten
MOST_TICKS = 8  # measured values up to which an axis names them all


def name_powers(axis, values) -> None:
    """Ticks at powers of ten; and at 2 and 5 between them where the positive ones of `values` span little."""
    from matplotlib.ticker import LogLocator

    values = values[np.isfinite(values) & (values > 0)]
    narrow = len(values) > 0 and values.max() < FEW_DECADES * values.min()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=8))
    _write_plainly(axis)


def name_measured(axis, values) -> None:
    """Ticks at `values` themselves where there are few of them."""
    from matplotlib.ticker import NullLocator

    if len(distinct := np.unique(values)) > MOST_TICKS:
        return name_powers(axis, values)
    axis.set_ticks(distinct)
    axis.set_minor_locator(NullLocator())
    _write_plainly(axis)


def _write_plainly(axis):
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")
