"""The verdict on two runs: identical, equivalent, diverged, or not comparable; what it rests on, and where it shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from archiver.comparison.curves import LEARNING_RATE, EpochDifference, MetricDifference, Tolerances, first_epoch
from archiver.comparison.differences import Gap
from archiver.comparison.distances import Distance
from archiver.comparison.evaluations import TestDifference
from archiver.comparison.steps import StepDifference
from archiver.comparison.weights import WeightsDifference

Outcome = Literal["identical", "equivalent", "diverged", "not comparable"]
Start = Literal["same", "other", "unknown"]


@dataclass(frozen=True)
class Effects:
    """What came out of both runs, where it differs."""

    weights_digests: tuple[str | None, str | None]
    initial_weights_digests: tuple[str | None, str | None]
    """Of the weights with which the first call of `fit` began."""
    epoch_counts: tuple[int | None, int | None]
    """None: there is no history."""
    statuses: tuple[str, str]
    weights: WeightsDifference | None
    """None: they are the same, or not known of both."""
    metrics: tuple[MetricDifference, ...]
    first_step: StepDifference | None
    test: TestDifference | None
    """None: not both were tested."""

    @property
    def differ(self) -> bool:
        """Whether anything that came out differs, as far as it is known of both."""
        tests = self.test is not None and bool(self.test.metrics or self.test.predictions)
        outcomes = (self.weights_digests, self.epoch_counts, self.statuses)
        return bool(self.metrics) or tests or any(pair[0] != pair[1] for pair in outcomes)


@dataclass(frozen=True)
class LargestDifference:
    """The difference that comes closest to the tolerance, or passes it farthest."""

    what: str
    """`weights`, `metrics`, `test metrics` or `predictions`."""
    where: str
    """Such as `loss in epoch 3` or `dense/kernel [2, 5]`."""
    difference: float
    magnitude: float
    """Of the numbers themselves; for weights, the larger norm of the variable."""
    excess: float
    """The difference as a share of the allowed one: up to 1 is equivalent."""

    @property
    def relative(self) -> float:
        """`difference` / `magnitude`."""
        return self.difference / self.magnitude if self.magnitude else 0.0


@dataclass(frozen=True)
class Verdict:
    """What can be said of two runs."""

    outcome: Outcome
    reason: str
    """In one sentence."""
    tolerances: Tolerances
    compared: tuple[str, ...]
    """What the verdict rests on, such as `weights digest`."""
    not_compared: tuple[Gap, ...]
    largest: LargestDifference | None
    """None where nothing differs that can be measured."""
    first_epoch: EpochDifference | None
    first_step: StepDifference | None
    initial_weights: Start
    """Whether the trainings began with the same weights."""

    @property
    def is_positive(self) -> bool:
        """Whether the runs are identical or equivalent."""
        return self.outcome in ("identical", "equivalent")


def verdict_on(effects: Effects, gaps: list[Gap], tolerances: Tolerances) -> Verdict:
    """The verdict.

    Args:
        effects: of both runs.
        gaps: what of them could not be compared.
        tolerances: up to where differences count as equivalent.
    """
    largest = max(_measured(effects, tolerances), key=lambda each: each.excess, default=None)
    outcome, reason = _outcome(effects, largest)
    return Verdict(
        outcome=outcome,
        reason=reason,
        tolerances=tolerances,
        compared=tuple(_compared(effects)),
        not_compared=tuple(gaps),
        largest=largest,
        first_epoch=first_epoch(effects.metrics),
        first_step=effects.first_step,
        initial_weights=_start(effects),
    )


def _start(effects: Effects) -> Start:
    before, after = effects.initial_weights_digests
    if before is None or after is None:
        return "unknown"
    return "same" if before == after else "other"


def _metrics(effects: Effects) -> list[MetricDifference]:
    return [each for each in effects.metrics if each.metric != LEARNING_RATE]


def _compared(effects: Effects) -> Iterator[str]:
    if None not in effects.weights_digests:
        yield "weights digest"
    if effects.weights is not None and effects.weights.distance is not None:
        yield f"{sum(len(layer.variables) for layer in effects.weights.layers)} tensors that differ"
    counts = effects.epoch_counts
    if counts[0] is not None and counts[1] is not None:
        yield f"metrics of {max(counts[0], counts[1])} epochs"
    if effects.test is not None:
        yield "test metrics"
        if effects.test.predictions or effects.test.equal_outputs:
            yield "predictions on the test data"


def _outcome(effects: Effects, largest: LargestDifference | None) -> tuple[Outcome, str]:
    digests, counts = effects.weights_digests, effects.epoch_counts
    if None in counts:
        return "not comparable", "one of the runs has no history, or none that can be read"
    if counts[0] != counts[1]:
        return "diverged", f"{counts[0]} epochs, and {counts[1]}"
    if effects.statuses[0] != effects.statuses[1]:
        return "diverged", f"one is {effects.statuses[0]}, the other {effects.statuses[1]}"
    if largest is not None and largest.excess > 1:
        return "diverged", f"{largest.where} differs by more than the tolerance"
    if None in digests:
        return "not comparable", "the weights are not known of both"
    if digests[0] != digests[1] and not (effects.weights is not None and effects.weights.is_complete):
        return "diverged", "the weights differ, and it is not known of all of them how far"
    if effects.test is not None and any(each.distance is None for each in effects.test.predictions):
        return "diverged", "predictions differ, and it is not known how far"
    if digests[0] == digests[1] and largest is None:
        return "identical", "the weights, the metrics of every epoch and what is known of the test data are the same"
    return "equivalent", "all that differs is within the tolerance"


def _measured(effects: Effects, tolerances: Tolerances) -> Iterator[LargestDifference]:
    """The largest difference of each metric, variable and output, as a share of what is allowed."""
    for metric in _metrics(effects):
        for point in _points(metric, is_longer=effects.epoch_counts[0] != effects.epoch_counts[1]):
            excess = tolerances.excess(point.absolute, point.magnitude)
            where = f"{metric.metric} in epoch {point.epoch + 1}" + (
                f" of phase {point.phase + 1}" if point.phase else ""
            )
            yield LargestDifference("metrics", where, point.absolute, point.magnitude, excess)
    for layer in effects.weights.layers if effects.weights is not None else ():
        for part in layer.variables:
            if part.distance is not None:
                at = f" {list(part.largest_at)}" if part.largest_at else ""
                yield _of_tensor("weights", f"{part.path}{at}", part.distance, tolerances)
    if effects.test is not None:
        for scalar in effects.test.metrics:
            difference, magnitude = abs(scalar.before - scalar.after), max(abs(scalar.before), abs(scalar.after))
            difference = difference if math.isfinite(difference) else math.inf
            excess = tolerances.excess(difference, magnitude)
            yield LargestDifference("test metrics", f"test {scalar.metric}", difference, magnitude, excess)
        for output in effects.test.predictions:
            if output.distance is not None:
                yield _of_predictions(output.output, output.distance, output.largest_sample, tolerances)


def _points(metric: MetricDifference, *, is_longer: bool) -> Iterator[EpochDifference]:
    """Where one run went on for longer, the verdict says so."""
    for key, before, after in zip(metric.epochs, metric.before, metric.after, strict=True):
        point = EpochDifference(metric.metric, *key, before, after)
        if point.absolute and not (is_longer and None in (before, after)):
            yield point


def _of_tensor(what: str, where: str, distance: Distance, tolerances: Tolerances) -> LargestDifference:
    """By Euclidean norms; the absolute tolerance counts for each element."""
    norm = max(distance.norm_before, distance.norm_after)
    allowed = tolerances.absolute * math.sqrt(distance.element_count) + tolerances.relative * norm
    is_finite = math.isfinite(distance.distance) and not (distance.non_finite_count and distance.changed_count)
    excess = (distance.distance / allowed if allowed else math.inf) if is_finite else math.inf
    return LargestDifference(what, where, distance.distance, norm, excess if distance.changed_count else 0.0)


def _of_predictions(output: str, distance: Distance, sample: int | None, tolerances: Tolerances) -> LargestDifference:
    """By the element that differs most, against the largest of all."""
    where = f"{output} of test sample {sample}" if sample is not None else output
    difference = math.inf if distance.non_finite_count and distance.changed_count else distance.maximal_absolute
    excess = tolerances.excess(difference, distance.maximal_magnitude)
    return LargestDifference("predictions", where, difference, distance.maximal_magnitude, excess)
