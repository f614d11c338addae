"""The curve of a metric over the epochs, and plain statistics that neither overflow nor depend on the machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from archiver.records.performance import Direction, MetricPoint
from archiver.records.training import History, PhaseHistory


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One epoch that has a value; `place` counts all epochs of the phases looked at, from 0."""

    place: int
    phase: int
    epoch: int
    value: float

    @property
    def is_finite(self) -> bool:
        """Whether the value is neither NaN nor infinite."""
        return math.isfinite(self.value)

    def recorded(self) -> MetricPoint:
        """As it stands in a record."""
        return MetricPoint.model_construct(phase=self.phase, epoch=self.epoch, value=self.value)


Curve = Sequence[CurvePoint]


def curve_of(phases: Iterable[PhaseHistory], name: str) -> list[CurvePoint]:
    """The values of a metric in the order of the epochs, NaN and infinities included, epochs without one left out."""
    curve: list[CurvePoint] = []
    place = 0
    for phase in phases:
        column = phase.metrics.get(name, ())
        for offset, (epoch, value) in enumerate(zip(phase.epochs, column, strict=False)):
            if value is not None:
                curve.append(CurvePoint(place + offset, phase.phase, epoch, value))
        place += len(phase.epochs)
    return curve


def metric_names(history: History) -> list[str]:
    """The names of all metrics, in the order in which they appeared."""
    return list(dict.fromkeys(name for phase in history.phases for name in phase.metrics))


def direction_of(history: History, name: str) -> Direction:
    """As the last phase that has the metric says."""
    known = [phase.directions[name] for phase in history.phases if name in phase.directions]
    return known[-1] if known else "unknown"


def extremes(curve: Curve) -> tuple[CurvePoint, CurvePoint]:
    """The points with the smallest and the largest value, the first of equal ones; `curve` is finite and not empty."""
    return min(curve, key=_value), max(curve, key=_value)


_value: Callable[[CurvePoint], float] = lambda point: point.value  # noqa: E731 - faster than a method, for min and max


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean of finite values, at least one; exact but for the last rounding."""
    exponent = _exponent(values)
    return _scaled(math.fsum(math.ldexp(value, -exponent) for value in values) / len(values), exponent)


def standard_deviation(values: Sequence[float]) -> float:
    """Root of the sum of the squared differences from the mean, divided by n - 1; of at least two finite values."""
    exponent = _exponent(values)
    scaled = [math.ldexp(value, -exponent) for value in values]
    center = math.fsum(scaled) / len(scaled)
    squares = math.fsum((value - center) * (value - center) for value in scaled)
    return _scaled(math.sqrt(squares / (len(scaled) - 1)), exponent)


def _exponent(values: Sequence[float]) -> int:
    """Of the power of two by which values are divided, so that no sum overflows."""
    return math.frexp(max(map(abs, values)))[1]


def _scaled(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.inf


def median(values: Iterable[float]) -> float:
    """The middle value, or the mean of the two middle ones; of at least one value that is no NaN."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return ordered[middle - 1] / 2 + ordered[middle] / 2
