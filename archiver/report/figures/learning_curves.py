"""Learning curves: every metric over the epochs, training against validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from archiver.records.results import BestEpoch
from archiver.records.training import History
from archiver.report.figures.style import BLUE, MUTED, ORANGE, ORANGE_TEXT, calm, drawn, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAXIMAL_PANELS = 6
MAXIMAL_POINTS = 400
"""Per curve; of longer ones every n-th epoch is drawn, and the last."""

LEAST_EPOCHS = 2
"""A single point is no curve: its numbers stand in the table of metrics."""

LOGARITHMIC_FROM = 50.0
"""Largest by smallest loss, from which on the axis is logarithmic."""

_HALO: Any = {"facecolor": "white", "edgecolor": "none", "pad": 1}


@dataclass(frozen=True)
class Curve:
    """A metric over the epochs of all phases, counted from 1 without a gap."""

    values: tuple[float, ...]
    """NaN where an epoch has none."""

    @property
    def points(self) -> list[tuple[int, float]]:
        """(epoch, value), thinned."""
        stride = max(1, -(-len(self.values) // MAXIMAL_POINTS))
        last = len(self.values) - 1
        return [(i + 1, value) for i, value in enumerate(self.values) if i % stride == 0 or i == last]


def curves(history: History) -> dict[str, dict[str, Curve]]:
    """By metric: `train`, `validation` or both."""
    names = dict.fromkeys(name for phase in history.phases for name in phase.metrics)
    found: dict[str, dict[str, Curve]] = {}
    for name in names:
        values: list[float] = []
        for phase in history.phases:
            column = phase.metrics.get(name, (None,) * len(phase.epochs))
            values += [math.nan if value is None else value for value in column]
        if any(math.isfinite(value) for value in values):
            split = "validation" if name.startswith("val_") else "train"
            found.setdefault(name.removeprefix("val_"), {})[split] = Curve(tuple(values))
    return found


def learning_curves(history: History, best: BestEpoch | None) -> bytes | None:
    """The figure; None where no epoch has a finite value, or there is but one epoch.

    Args:
        history: of all phases.
        best: the epoch to mark.
    """
    metrics = dict(list(_ordered(curves(history)).items())[:MAXIMAL_PANELS])
    if not metrics or sum(len(phase.epochs) for phase in history.phases) < LEAST_EPOCHS:
        return None
    rows = math.ceil(len(metrics) / 2)

    def draw(figure: Any) -> None:
        panels = figure.subplots(rows, min(2, len(metrics)), squeeze=False).ravel()
        for panel, (metric, splits) in zip(panels, metrics.items(), strict=False):
            _draw_metric(panel, metric, splits)
            _mark_phases(panel, history)
            if best is not None:
                _mark_best(panel, _position(history, best), metric, best, splits)
        for panel in panels[len(metrics) :]:
            panel.set_visible(False)

    return drawn(2.7 * rows, draw)


def _ordered(metrics: dict[str, dict[str, Curve]]) -> dict[str, dict[str, Curve]]:
    """The loss first, then metrics that were validated."""
    return dict(sorted(metrics.items(), key=lambda item: (item[0] != "loss", "validation" not in item[1])))


def _draw_metric(axes: Axes, metric: str, splits: dict[str, Curve]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(shortened(metric, 40))
    axes.set_xlabel("epoch")
    calm(axes)
    labels: list[tuple[float, str, str]] = []
    for split, colour in (("train", BLUE), ("validation", ORANGE)):
        if split not in splits:
            continue
        x, y = zip(*splits[split].points, strict=True)
        axes.plot(x, y, color=colour, marker="o" if len(x) < 15 else None, markersize=3.5)  # noqa: PLR2004
        finite = [value for value in y if math.isfinite(value)]
        labels.append((finite[-1], f"{split} {finite[-1]:.3g}", ORANGE_TEXT if colour == ORANGE else colour))
    if metric.endswith("loss") and _is_wide(splits):
        _make_logarithmic(axes)
    _label_ends(axes, labels)
    length = max(len(curve.values) for curve in splits.values())
    margin = 0.02 * (length - 1)  # so that no marker is cut in halves
    axes.set_xlim(1 - margin, length + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _is_wide(splits: dict[str, Curve]) -> bool:
    values = [value for curve in splits.values() for value in curve.values if math.isfinite(value)]
    return min(values) > 0 and max(values) / min(values) > LOGARITHMIC_FROM


def _make_logarithmic(axes: Axes) -> None:
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)


def _label_ends(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Beside the last values, moved apart where they would overlap."""
    heights = [_share(axes, value) for value, _, _ in labels]
    order = sorted(range(len(labels)), key=lambda index: heights[index])
    for below, above in pairwise(order):
        if heights[above] - heights[below] < 0.09:  # noqa: PLR2004 - a line of text, as a share of the height
            middle = (heights[above] + heights[below]) / 2
            heights[below], heights[above] = middle - 0.05, middle + 0.05
    for height, (_, text, colour) in zip(heights, labels, strict=True):
        axes.annotate(
            text, (1.0, height), (5, 0), xycoords="axes fraction", textcoords="offset points", color=colour, va="center"
        )


def _share(axes: Axes, value: float) -> float:
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.5


def _mark_phases(axes: Axes, history: History) -> None:
    done = 0
    for phase in history.phases[:-1]:
        done += len(phase.epochs)
        axes.axvline(done + 0.5, color=MUTED, linewidth=0.8)
        axes.annotate(
            f"phase {phase.phase + 2}", (done + 0.5, 1.0), (3, -2), xycoords=("data", "axes fraction"),
            textcoords="offset points", color=MUTED, fontsize=8, va="top", bbox=_HALO,
        )  # fmt: skip


def _position(history: History, best: BestEpoch) -> int | None:
    """The best epoch, counted from 1 over all phases."""
    done = 0
    for phase in history.phases:
        if phase.phase == best.phase:
            return done + phase.epochs.index(best.epoch) + 1 if best.epoch in phase.epochs else None
        done += len(phase.epochs)
    return None


def _mark_best(axes: Axes, epoch: int | None, metric: str, best: BestEpoch, splits: dict[str, Curve]) -> None:
    if epoch is None:
        return
    axes.axvline(epoch, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
    if metric != best.monitor.removeprefix("val_") or not math.isfinite(best.value):
        return
    split = "validation" if best.monitor.startswith("val_") else "train"
    axes.plot([epoch], [best.value], "o", color=ORANGE if split == "validation" else BLUE, markersize=6, zorder=5)
    is_right = epoch > max(len(curve.values) for curve in splits.values()) / 2
    axes.annotate(
        f"best: epoch {epoch}", (epoch, 1.0), (-4 if is_right else 4, -14), xycoords=("data", "axes fraction"),
        textcoords="offset points", color=MUTED, fontsize=8, ha="right" if is_right else "left", va="top",
        bbox=_HALO,
    )  # fmt: skip
