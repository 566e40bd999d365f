"""Learning curves: training against validation over steps."""

from collections import defaultdict
from math import ceil

import numpy as np

from jaxvision.errors import InputError
from jaxvision.plots.log_axis import name_powers
from jaxvision.plots.style import MUTED, SMALL, TRAIN, VALIDATION, house_style

LOWER_IS_BETTER = {"loss", "error", "nll", "mse", "mae", "ece", "perplexity"}
LOG_FROM_RATIO = 30


@house_style()
def training_curves(records, metrics=("loss", "top1")):
    """One panel a metric: both splits, the gap between them shaded, the best validation point marked.

    records: dicts as in metrics.jsonl, {"step": 100, "split": "train" or "validation", "loss": 0.3, ...}, in
    any order; other splits are left out; those of one step and split (members of a population) are averaged.
    Best is lowest for a loss or an error (a word of the name is in LOWER_IS_BETTER), else highest. A loss
    that spans more than a factor of 30 gets a logarithmic axis.

    Returns a Figure. Raises InputError if no metric is asked for or one is in no record.
    """
    from matplotlib.figure import Figure

    if not metrics:
        raise InputError("metrics: empty, expected the name of at least one metric")
    columns = min(len(metrics), 3)
    rows = ceil(len(metrics) / columns)
    figure = Figure(figsize=(4.8 * columns, 3.3 * rows), layout="constrained")
    for index, metric in enumerate(metrics):
        _panel(figure.add_subplot(rows, columns, index + 1), records, metric)
    return figure


def _panel(axes, records, metric):
    from matplotlib.ticker import MaxNLocator

    train = _series(records, "train", metric)
    validation = _series(records, "validation", metric)
    if not len(train[0]) and not len(validation[0]):
        known = sorted({name for record in records for name in record} - {"step", "split", "member"})
        raise InputError(f"metric {metric!r}: in no record, expected one of {known}")

    lower = not LOWER_IS_BETTER.isdisjoint(metric.split("_"))
    axes.plot(*train, color=TRAIN, linewidth=1.2, label="train")
    if len(validation[0]):
        axes.plot(*validation, color=VALIDATION, linewidth=1.8, label="validation")
    _shade_gap(axes, train, validation)
    _mark_best(axes, validation, min if lower else max)

    if lower and _spans(LOG_FROM_RATIO, np.concatenate([train[1], validation[1]])):
        axes.set_yscale("log")
        name_powers(axes.yaxis, np.concatenate([train[1], validation[1]]))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(True)
    axes.set_title(metric)
    axes.set_xlabel("step")
    axes.legend(loc="upper right" if lower else "lower right")


def _series(records, split, metric):
    """Steps and values of one line, in the order of the steps."""
    values = defaultdict(list)
    for record in records:
        if record.get("split") == split and record.get(metric) is not None:
            values[record["step"]].append(record[metric])
    steps = sorted(values)
    return np.array(steps), np.array([np.mean(values[step]) for step in steps])


def _shade_gap(axes, train, validation):
    """Fill between the two lines where both are drawn, whatever steps either was measured at."""
    if not len(train[0]) or not len(validation[0]):
        return
    steps = np.union1d(train[0], validation[0])
    first, last = max(train[0][0], validation[0][0]), min(train[0][-1], validation[0][-1])
    steps = steps[(steps >= first) & (steps <= last)]
    gap = np.interp(steps, *train), np.interp(steps, *validation)
    axes.fill_between(steps, *gap, color=VALIDATION, alpha=0.12, linewidth=0)


def _mark_best(axes, validation, choose):
    finite = [(value, step) for step, value in zip(*validation) if np.isfinite(value)]
    if not finite:
        return
    best = choose(value for value, _ in finite)
    step = next(step for value, step in finite if value == best)  # the earliest of equals
    axes.plot([step], [best], "o", color=VALIDATION, markerfacecolor="white", markeredgewidth=1.8)
    text = f"best {best:.4g} at step {step:,}"
    axes.set_title(text, loc="right", fontsize=SMALL, fontweight="normal", color=MUTED)


def _spans(ratio, values):
    values = values[np.isfinite(values)]
    return len(values) > 0 and values.min() > 0 and values.max() > ratio * values.min()
