"""What differs in the metrics, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archiver.comparison.differences import Gap
from archiver.comparison.facts import merged
from archiver.records.training import History

LEARNING_RATE = "learning rate"
EpochKey = tuple[int, int]
"""Phase and epoch, as Keras counts them, from 0."""


@dataclass(frozen=True)
class Tolerances:
    """Up to where numbers count as equivalent: `absolute` plus `relative` times the larger magnitude."""

    relative: float = 1e-4
    absolute: float = 1e-6

    def allowed(self, magnitude: float) -> float:
        """The largest difference of numbers of this magnitude."""
        return self.absolute + self.relative * magnitude

    def excess(self, difference: float, magnitude: float) -> float:
        """The difference as a share of the allowed one: up to 1 is equivalent; infinite for what is not finite."""
        if not difference:
            return 0.0
        allowed = self.allowed(magnitude)
        is_finite = math.isfinite(difference) and math.isfinite(magnitude)
        return difference / allowed if is_finite and allowed > 0 else math.inf


@dataclass(frozen=True)
class EpochDifference:
    """A metric in one epoch of both."""

    metric: str
    phase: int
    epoch: int
    before: float | None
    """None: the run has no such value."""
    after: float | None

    @property
    def absolute(self) -> float:
        """The size of the difference; infinite where one has no value, or one that is not finite."""
        return difference_of(self.before, self.after)

    @property
    def magnitude(self) -> float:
        """The larger of the absolute values."""
        return max(abs(value) for value in (self.before or 0.0, self.after or 0.0))


@dataclass(frozen=True)
class MetricDifference:
    """A metric that differs in some epoch, with both curves."""

    metric: str
    first: EpochDifference
    """Where they first differ."""
    largest: EpochDifference
    last: EpochDifference
    """The last values of both, whether or not they differ."""
    epochs: tuple[EpochKey, ...]
    """Of the curves: all epochs of both, in order."""
    before: tuple[float | None, ...]
    after: tuple[float | None, ...]


def difference_of(before: float | None, after: float | None) -> float:
    """|before - after|: 0 for what is the same, NaN included; infinite where one is missing or not finite."""
    if before is None or after is None:
        return 0.0 if before is after else math.inf
    if before == after or (math.isnan(before) and math.isnan(after)):
        return 0.0
    difference = abs(before - after)
    return difference if math.isfinite(difference) else math.inf


Column = dict[EpochKey, float | None]


def columns_of(history: History) -> dict[str, Column]:
    """By metric, its value in each epoch; the learning rate among them."""
    found: dict[str, Column] = {}
    for phase in history.phases:
        for name, values in (*phase.metrics.items(), (LEARNING_RATE, phase.learning_rates)):
            column = found.setdefault(name, {})
            column.update({(phase.phase, epoch): value for epoch, value in zip(phase.epochs, values, strict=False)})
    return found


def epochs_of(history: History) -> list[EpochKey]:
    """All epochs that ended, in order."""
    return sorted({(phase.phase, epoch) for phase in history.phases for epoch in phase.epochs})


def metrics_between(before: History, after: History) -> list[MetricDifference]:
    """The metrics that both have and that differ somewhere: the loss first, each before its validation, the learning
    rate last. An epoch that only one of them has makes every metric differ."""
    old, new = columns_of(before), columns_of(after)
    epochs = sorted({*epochs_of(before), *epochs_of(after)})
    names = sorted((name for name in merged(old, new) if name in old and name in new), key=_order)
    return [found for name in names if (found := _metric(name, epochs, old[name], new[name])) is not None]


def lacking_metrics(before: History, after: History) -> list[Gap]:
    """Metrics that only one of them has."""
    old, new = columns_of(before), columns_of(after)
    gone = [Gap("after", f"metric {name}", "was not measured") for name in old if name not in new]
    return [*gone, *(Gap("before", f"metric {name}", "was not measured") for name in new if name not in old)]


def _order(name: str) -> tuple[bool, bool, str, bool]:
    plain = name.removeprefix("val_")
    return name == LEARNING_RATE, plain != "loss", plain, name.startswith("val_")


def _metric(name: str, epochs: list[EpochKey], before: Column, after: Column) -> MetricDifference | None:
    points = [EpochDifference(name, *key, before.get(key), after.get(key)) for key in epochs]
    differing = [point for point in points if point.absolute]
    both = [point for point in differing if point.before is not None and point.after is not None]
    if not differing or (name == LEARNING_RATE and not both):
        return None
    last = EpochDifference(name, *epochs[-1], _last(before, epochs), _last(after, epochs))
    return MetricDifference(
        metric=name,
        first=differing[0],
        largest=max(both or differing, key=lambda point: point.absolute),
        last=last,
        epochs=tuple(epochs),
        before=tuple(point.before for point in points),
        after=tuple(point.after for point in points),
    )


def _last(column: Column, epochs: list[EpochKey]) -> float | None:
    return next((value for key in reversed(epochs) if (value := column.get(key)) is not None), None)


def first_epoch(metrics: Iterable[MetricDifference]) -> EpochDifference | None:
    """Where the runs first differ, by any metric but the learning rate."""
    points: Iterator[EpochDifference] = (each.first for each in metrics if each.metric != LEARNING_RATE)
    return min(points, key=lambda point: (point.phase, point.epoch), default=None)
