"""The verdict on a repetition: the one place that knows how two runs are compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archiver import layout
from archiver.archive.comparing import changes_between
from archiver.archive.run import Run
from archiver.records.base import Unavailable
from archiver.records.reproduction import CausePart, DifferencePart, VerdictPart
from archiver.records.results import Results, TestResults
from archiver.records.training import History

TOLERANCE = 1e-4
"""Largest difference of a metric, relative to its size or to 1, at which a repetition is still equivalent."""

MAXIMAL_CAUSES = 20


def verdict(original: Run, repetition: Run) -> VerdictPart:
    """Compare two runs.

    Raises:
        ArchiverError: a record that is needed cannot be read.
    """
    return _judge(original, repetition)


@dataclass(frozen=True)
class _Number:
    where: str
    recorded: float
    found: float

    @property
    def is_same(self) -> bool:
        return self.recorded == self.found or (math.isnan(self.recorded) and math.isnan(self.found))

    @property
    def distance(self) -> float:
        size = max(1.0, abs(self.recorded))
        distance = abs(self.recorded - self.found) / size
        return math.inf if math.isnan(distance) else distance


def _judge(original: Run, repetition: Run) -> VerdictPart:
    results = original.read(layout.RESULTS), repetition.read(layout.RESULTS)
    histories = original.read(layout.HISTORY), repetition.read(layout.HISTORY)
    same_weights = _digest(results[0]) == _digest(results[1])
    same_length = [len(phase.epochs) for phase in histories[0].phases] == [len(p.epochs) for p in histories[1].phases]
    numbers = [*_metrics(*histories), *_test_metrics(*results)]
    differing = [each for each in numbers if not each.is_same]
    same_predictions = _predictions(results[0]) == _predictions(results[1])
    compared = ("weights", "metrics of every epoch", *(("predictions",) if _predictions(results[0]) else ()))
    largest = max(differing, key=lambda each: each.distance, default=None)
    part = None if largest is None else DifferencePart(
        where=largest.where, recorded=largest.recorded, found=largest.found
    )  # fmt: skip
    first = differing[0].where if differing else None if same_length else "the number of epochs"
    if same_weights and same_length and not differing and same_predictions:
        return VerdictPart(judgement="identical", summary="every bit that was compared is the same", compared=compared)
    causes = tuple(_causes(original, repetition))
    if same_length and largest is not None and largest.distance <= TOLERANCE:
        text = f"no metric differs by more than {TOLERANCE:g} of its size; {'' if same_weights else 'the weights do'}"
        return VerdictPart(
            judgement="equivalent", summary=text.removesuffix("; "), compared=compared, largest_difference=part,
            first_divergence=first, causes=causes,
        )  # fmt: skip
    what = [] if same_weights else ["weights"]
    what += [] if not differing and same_length else ["metrics"]
    what += [] if same_predictions else ["predictions"]
    return VerdictPart(
        judgement="diverged", summary=f"other {', '.join(what)}", compared=compared, largest_difference=part,
        first_divergence=first, causes=causes,
    )  # fmt: skip


def _digest(results: Results) -> Any:
    return None if isinstance(results.weights_digest, Unavailable) else results.weights_digest


def _predictions(results: Results) -> list[tuple[str, str]]:
    test = results.test
    if not isinstance(test, TestResults) or isinstance(test.predictions, Unavailable):
        return []
    return [(part.output, part.sha256) for part in test.predictions]


def _metrics(recorded: History, found: History) -> Iterator[_Number]:
    for then, now in zip(recorded.phases, found.phases, strict=False):
        for index in range(min(len(then.epochs), len(now.epochs))):
            for name in sorted(then.metrics.keys() & now.metrics.keys()):
                values = then.metrics[name], now.metrics[name]
                old, new = (each[index] if index < len(each) else None for each in values)
                if old is not None and new is not None:
                    yield _Number(f"phase {then.phase}, epoch {then.epochs[index]}, {name}", old, new)


def _test_metrics(recorded: Results, found: Results) -> Iterator[_Number]:
    if isinstance(recorded.test, TestResults) and isinstance(found.test, TestResults):
        for name in sorted(recorded.test.metrics.keys() & found.test.metrics.keys()):
            yield _Number(f"test {name}", recorded.test.metrics[name], found.test.metrics[name])


def _causes(original: Run, repetition: Run) -> Iterator[CausePart]:
    """What differs among the inputs, as far as the comparison of versions tells it."""
    for change in changes_between(original, repetition)[:MAXIMAL_CAUSES]:
        yield CausePart(subject=change.subject.partition(" ")[0], text=change.text)
