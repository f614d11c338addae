"""Metrics of two runs over the epochs: a panel for each metric that differs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archiver.comparison.curves import MetricDifference
from archiver.report.figures.learning_curves import LEAST_EPOCHS, Curve
from archiver.report.figures.style import BLUE, MUTED, ORANGE, calm, drawn, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAXIMAL_PANELS = 8
_FEW = 15


def compared_curves(metrics: Sequence[MetricDifference], names: tuple[str, str]) -> bytes | None:
    """The figure; None where no metric has a curve.

    Args:
        metrics: those that differ.
        names: of the runs, for the legend.
    """
    shown = [each for each in metrics if len(each.epochs) >= LEAST_EPOCHS and _has_number(each)][:MAXIMAL_PANELS]
    if not shown:
        return None
    rows = math.ceil(len(shown) / 2)

    def draw(figure: Any) -> None:
        panels = figure.subplots(rows, min(2, len(shown)), squeeze=False).ravel()
        for panel, metric in zip(panels, shown, strict=False):
            _draw(panel, metric, names)
        for panel in panels[len(shown) :]:
            panel.set_visible(False)

    return drawn(2.7 * rows, draw)


def _has_number(metric: MetricDifference) -> bool:
    return any(value is not None and math.isfinite(value) for value in (*metric.before, *metric.after))


def _draw(axes: Axes, metric: MetricDifference, names: tuple[str, str]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(shortened(metric.metric, 40))
    axes.set_xlabel("epoch")
    calm(axes)
    series = ((metric.before, names[0], BLUE, "-"), (metric.after, names[1], ORANGE, (0, (4, 2))))
    for values, name, colour, style in series:
        curve = Curve(tuple(math.nan if value is None or not math.isfinite(value) else value for value in values))
        x, y = zip(*curve.points, strict=True)
        marker = "o" if len(x) < _FEW else None
        axes.plot(x, y, color=colour, linestyle=style, marker=marker, markersize=3.5, label=shortened(name))
    first = metric.epochs.index((metric.first.phase, metric.first.epoch)) + 1
    axes.axvline(first, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
    axes.legend(frameon=False, fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
