"""The gap between training and validation; the formulas stand at the fields of `Overfitting`."""

from __future__ import annotations

from archiver.archive.curves import CurvePoint, curve_of, extremes
from archiver.archive.directions import Mode
from archiver.archive.performance import improved
from archiver.records.base import Unavailable
from archiver.records.performance import Overfitting
from archiver.records.training import History

WORSE_SHARE = 0.05


def build_overfitting(history: History, monitor: str, mode: Mode) -> Overfitting | Unavailable:
    """Of the monitored metric in training and in validation."""
    metric = monitor.removeprefix("val_")
    pairs = _pairs(history, metric)
    if not pairs:
        return Unavailable(unavailable=f"no epoch has finite values of both {metric} and val_{metric}")
    validation = [pair[1] for pair in pairs]
    low, high = extremes(validation)
    train_at = {point.place: train.value for train, point in pairs}
    best, last = low if mode == "min" else high, validation[-1]
    train_best, train_last = train_at[best.place], train_at[last.place]
    worse, better = improved(best.value, last.value, mode), improved(train_best, train_last, mode)
    gaps = improved(best.value, train_best, mode), improved(last.value, train_last, mode)
    return Overfitting(
        metric=metric,
        is_overfitting=better > 0 and worse < -WORSE_SHARE * (high.value - low.value)
        if len(pairs) > 1
        else Unavailable(unavailable="only one epoch was validated"),
        best=best.recorded(),
        last=last.recorded(),
        gap_at_best=gaps[0],
        gap_at_last=gaps[1],
        relative_gap_at_best=_relative(gaps[0], train_best),
        relative_gap_at_last=_relative(gaps[1], train_last),
        validation_improvement_since_best=worse,
        training_improvement_since_best=better,
    )


def _pairs(history: History, metric: str) -> list[tuple[CurvePoint, CurvePoint]]:
    """The points of training and validation of the epochs in which both are finite."""
    train = {point.place: point for point in curve_of(history.phases, metric) if point.is_finite}
    validation = curve_of(history.phases, f"val_{metric}")
    return [(train[point.place], point) for point in validation if point.is_finite and point.place in train]


def _relative(gap: float, train: float) -> float | Unavailable:
    return gap / abs(train) if train else Unavailable(unavailable="the training value is 0")
