"""What differs in the results on test data: metrics, and predictions sample by sample."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver import layout
from archiver.archive.run import Run
from archiver.comparison.differences import Gap, Place, value_texts
from archiver.comparison.distances import Distance, distance_between, reader_of
from archiver.comparison.facts import known, merged
from archiver.errors import ArchiverError
from archiver.records.results import PredictionsPart, Results, TestResults
from archiver.storage.reading import open_below
from archiver.storage.tensors import Tensors, open_tensors

MAXIMAL_CLASSES_BYTES = 64 << 20
"""Of the stored predictions of one output whose classes are compared."""
_AXES = 2


@dataclass(frozen=True)
class ScalarDifference:
    """A metric of both."""

    metric: str
    before: float
    after: float

    @property
    def text(self) -> str:
        """Such as `loss: 0.5, now 0.25`."""
        before, after = value_texts(self.before, self.after)
        return f"{self.metric}: {before}, now {after}"


@dataclass(frozen=True)
class PredictionsDifference:
    """The predictions of one output, which differ."""

    output: str
    sample_count: int
    compared_count: int
    """Samples whose predictions both archives hold."""
    distance: Distance | None
    """Of these; None where they could not be read."""
    largest_sample: int | None
    """The sample with the largest difference."""
    other_class_count: int | None
    """Samples whose largest column is another one; None where there are not several columns."""
    note: str
    """Why there is no distance; else empty."""


@dataclass(frozen=True)
class TestDifference:
    """The test results of both."""

    __test__ = False

    metrics: tuple[ScalarDifference, ...]
    """Those that differ."""
    predictions: tuple[PredictionsDifference, ...]
    equal_outputs: tuple[str, ...]
    """Outputs whose predictions are the same, by their digests."""


def test_between(runs: tuple[Run, Run], results: tuple[Results, Results]) -> tuple[TestDifference | None, list[Gap]]:
    """The differences, and what could not be compared; None where not both were tested.

    Args:
        runs: the archives.
        results: their results.
    """
    tests = known(results[0].test), known(results[1].test)
    if tests[0] is None or tests[1] is None:
        return None, list(_untested(tests))
    outputs = _outputs(tests[0]), _outputs(tests[1])
    found: list[PredictionsDifference] = []
    gaps: list[Gap] = []
    equal: list[str] = []
    for name in merged(*outputs):
        pair = outputs[0].get(name), outputs[1].get(name)
        reason = _why_not(pair)
        if reason:
            side: Place = "before" if pair[0] is None else "after" if pair[1] is None else "both"
            gaps.append(Gap(side, f"predictions of {name}", reason))
        elif pair[0].sha256 == pair[1].sha256:  # type: ignore[union-attr]
            equal.append(name)
        else:
            found.append(_predictions(runs, pair))  # type: ignore[arg-type]
    for side, test in (("before", tests[0]), ("after", tests[1])):
        if known(test.predictions) is None:
            gaps.append(Gap(side, "predictions", test.predictions.unavailable))
    return TestDifference(tuple(_metrics(*tests)), tuple(found), tuple(equal)), gaps


test_between.__test__ = False  # type: ignore[attr-defined]  # pytest shall not take it for a test


def _untested(tests: tuple[TestResults | None, TestResults | None]) -> Iterator[Gap]:
    if tests[0] is not None or tests[1] is not None:
        yield Gap("before" if tests[0] is None else "after", "test results", "the run was not tested")


def _outputs(test: TestResults) -> dict[str, PredictionsPart]:
    return {part.output: part for part in known(test.predictions) or ()}


def _why_not(pair: tuple[PredictionsPart | None, PredictionsPart | None]) -> str:
    before, after = pair
    if before is None or after is None:
        return "there is no such output"
    targets = known(before.target), known(after.target)
    if targets[0] is not None and targets[1] is not None and targets[0].sha256 != targets[1].sha256:
        return "they were tested on other data"
    if (before.shape, before.dtype) != (after.shape, after.dtype):
        return f"{before.dtype} of shape {list(before.shape)}, and {after.dtype} of shape {list(after.shape)}"
    return ""


def _metrics(before: TestResults, after: TestResults) -> Iterator[ScalarDifference]:
    for name in merged(before.metrics, after.metrics):
        if name in before.metrics and name in after.metrics:
            values = before.metrics[name], after.metrics[name]
            if values[0] != values[1] and not all(map(math.isnan, values)):
                yield ScalarDifference(name, *values)


def _predictions(runs: tuple[Run, Run], pair: tuple[PredictionsPart, PredictionsPart]) -> PredictionsDifference:
    part = pair[1]
    count = min(pair[0].stored_count, part.stored_count)
    width = math.prod(part.shape[1:])
    distance, other, note = None, None, ""
    try:
        with _stored(runs[0]) as one, _stored(runs[1]) as two:
            distance, other = _compared((one, two), part, count, width)
    except (ArchiverError, OSError, ValueError) as error:
        note = str(error)
    sample = distance.maximal_at // width if distance is not None and distance.maximal_at is not None else None
    return PredictionsDifference(part.output, part.shape[0] if part.shape else 0, count, distance, sample, other, note)


@contextlib.contextmanager
def _stored(run: Run) -> Iterator[Tensors]:
    path = layout.PREDICTIONS.path(run.name)
    with open_below(run.path, path) as file, open_tensors(file, "npz", where=path) as tensors:
        yield tensors


def _compared(
    files: tuple[Tensors, Tensors], part: PredictionsPart, count: int, width: int
) -> tuple[Distance, int | None]:
    reader = reader_of(part.dtype)
    if reader is None:
        raise ValueError(f"predictions of {part.dtype} are no real numbers")
    size = count * width * reader[0]
    one, other = (_first(file, part.output, size) for file in files)
    distance = distance_between(one, other, part.dtype)
    if len(part.shape) != _AXES or width < _AXES or size > MAXIMAL_CLASSES_BYTES:
        return distance, None
    classes = [_classes(reader[1](b"".join(map(bytes, _first(file, part.output, size)))), width) for file in files]
    return distance, int(np.count_nonzero(classes[0] != classes[1]))


def _classes(values: NDArray[Any], width: int) -> NDArray[Any]:
    found: NDArray[Any] = values.reshape(-1, width).argmax(axis=1)
    return found


def _first(file: Tensors, name: str, size: int) -> Iterator[memoryview | bytes]:
    """The first `size` bytes of a tensor.

    Raises:
        ValueError: there are fewer.
    """
    left = size
    for block in file.blocks(name):
        yield block[:left]
        left -= min(left, len(block))
        if not left:
            return
    if left:
        raise ValueError(f"the stored predictions of {name} end {left} bytes early")


def headline_between(before: Run, after: Run) -> list[ScalarDifference]:
    """The metrics of both, whether or not they differ: those on test data where both have them, else the last values.

    Empty where the results of one cannot be read.
    """
    try:
        records = before.read_if_there(layout.RESULTS), after.read_if_there(layout.RESULTS)
    except ArchiverError:
        return []
    if records[0] is None or records[1] is None:
        return []
    old, new = known(records[0].test), known(records[1].test)
    if old is not None and new is not None and old.metrics and new.metrics:
        return [
            ScalarDifference(f"test {name}", value, new.metrics[name])
            for name, value in old.metrics.items()
            if name in new.metrics
        ]
    last = records[1].final_metrics
    return [
        ScalarDifference(name, value, last[name]) for name, value in records[0].final_metrics.items() if name in last
    ]
