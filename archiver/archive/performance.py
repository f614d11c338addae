"""The performance of each metric over a run; the formulas stand at the fields of `MetricPerformance`."""

from __future__ import annotations

from archiver.archive.curves import (
    Curve,
    CurvePoint,
    curve_of,
    direction_of,
    extremes,
    mean,
    metric_names,
    standard_deviation,
)
from archiver.records.base import Unavailable
from archiver.records.performance import Direction, MetricPerformance
from archiver.records.training import History

_NEITHER = Unavailable(unavailable="neither the metric's name nor Keras tells whether less or more of it is better")
_NONE_FINITE = Unavailable(unavailable="no value is finite")
_ONE_FINITE = Unavailable(unavailable="only one value is finite")


def build_performance(history: History) -> dict[str, MetricPerformance]:
    """By metric; a metric that never had a value is left out."""
    curves = {name: curve_of(history.phases, name) for name in metric_names(history)}
    return {name: metric_performance(curve, direction_of(history, name)) for name, curve in curves.items() if curve}


def metric_performance(curve: Curve, direction: Direction) -> MetricPerformance:
    """The performance of a metric with at least one value."""
    finite = [point for point in curve if point.is_finite]
    values = [point.value for point in finite]
    low, high = extremes(finite) if finite else (None, None)
    best, worst = (low, high) if direction == "min" else (high, low)
    improvement = _improvement(finite, direction)
    return MetricPerformance(
        direction=direction,
        best=_NEITHER if direction == "unknown" else best.recorded() if best else _NONE_FINITE,
        worst=_NEITHER if direction == "unknown" else worst.recorded() if worst else _NONE_FINITE,
        first=curve[0].recorded(),
        last=curve[-1].recorded(),
        minimum=low.recorded() if low else _NONE_FINITE,
        maximum=high.recorded() if high else _NONE_FINITE,
        improvement=improvement,
        relative_improvement=_relative(improvement, finite),
        best_improvement=_best_improvement(finite, best, improvement),
        improvement_per_epoch=_rate(improvement, finite),
        mean=mean(values) if values else _NONE_FINITE,
        standard_deviation=standard_deviation(values) if len(values) > 1 else _ONE_FINITE if values else _NONE_FINITE,
        value_count=len(curve),
        non_finite_count=len(curve) - len(finite),
    )


def _improvement(finite: Curve, direction: Direction) -> float | Unavailable:
    if direction == "unknown":
        return _NEITHER
    if not finite:
        return _NONE_FINITE
    if len(finite) == 1:
        return _ONE_FINITE
    return improved(finite[0].value, finite[-1].value, direction)


def improved(before: float, after: float, direction: Direction) -> float:
    """By how much `after` is better than `before`."""
    return before - after if direction == "min" else after - before


def _relative(improvement: float | Unavailable, finite: Curve) -> float | Unavailable:
    if isinstance(improvement, Unavailable):
        return improvement
    first = abs(finite[0].value)
    return improvement / first if first else Unavailable(unavailable="the first value is 0")


def _best_improvement(finite: Curve, best: CurvePoint | None, improvement: float | Unavailable) -> float | Unavailable:
    if isinstance(improvement, Unavailable) or best is None:
        return improvement
    return abs(best.value - finite[0].value)


def _rate(improvement: float | Unavailable, finite: Curve) -> float | Unavailable:
    if isinstance(improvement, Unavailable):
        return improvement
    return improvement / (finite[-1].place - finite[0].place)
