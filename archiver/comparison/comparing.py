"""`archiver.compare`: two runs, candidate causes apart from effects, and a verdict."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from enum import Enum
from typing import Any

from archiver import layout
from archiver.archive.outcome import history_so_far
from archiver.archive.run import Run
from archiver.comparison.causes import inputs_compared
from archiver.comparison.code import FileDifference, differences_in_code
from archiver.comparison.curves import Tolerances, epochs_of, lacking_metrics, metrics_between
from archiver.comparison.differences import Cause, Gap, Place, first_line
from archiver.comparison.evaluations import TestDifference, test_between
from archiver.comparison.facts import known
from archiver.comparison.steps import first_step
from archiver.comparison.verdicts import Effects, Verdict, verdict_on
from archiver.comparison.weights import WeightsDifference, weights_between, weights_tables
from archiver.errors import ArchiverError, ArgumentError
from archiver.records.base import write_real
from archiver.records.results import Results
from archiver.records.training import History

FORMAT_VERSION = 1
"""Of `Comparison.as_json()`."""


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    name: str
    path: str
    seal_id: str | None
    status: str


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side: only what differs, the most meaningful first."""

    before: Side
    after: Side
    verdict: Verdict
    causes: tuple[Cause, ...]
    """The inputs that differ: what may be why the effects do."""
    code: tuple[FileDifference, ...]
    """Unified diffs of the source files that differ."""
    effects: Effects
    gaps: tuple[Gap, ...]
    """Inputs that could not be compared; for effects see `verdict.not_compared`."""

    @property
    def differs(self) -> bool:
        """Whether any input or any effect differs."""
        return bool(self.causes) or self.effects.differ

    def as_json(self) -> dict[str, Any]:
        """Plain JSON: all fields by their names; NaN and infinities as in the records."""
        found: dict[str, Any] = _plain(self)
        return {"format_version": FORMAT_VERSION, "differs": self.differs, **found}


def compare(
    before: str | os.PathLike[str] | Run,
    after: str | os.PathLike[str] | Run,
    *,
    tolerances: Tolerances | None = None,
    tensors: bool = True,
) -> Comparison:
    """Compare two runs. Reads archives only: neither Keras nor a backend is needed, and nothing of them is run.

    Args:
        before: the folder of a run, or the opened run.
        after: that of the other one; the report says what is new in it.
        tolerances: up to where results count as equivalent; else `Tolerances()`.
        tensors: whether to read the weights that differ, to tell how far they are apart.

    Returns:
        What differs. What a broken or incomplete archive lacks stands in `gaps` and `verdict.not_compared`.

    Raises:
        NotAnArchiveError: there is no archive at a path.
        ArgumentError: a tolerance is negative or no number.
    """
    tolerances = tolerances or Tolerances()
    for name, value in dataclasses.asdict(tolerances).items():
        if not value >= 0 or not math.isfinite(value):
            raise ArgumentError(f"Received a tolerance {name}={value!r}. Expected a number from 0 on.")
    runs = _opened(before), _opened(after)
    code = differences_in_code(*runs)
    causes, gaps = inputs_compared(*runs, code)
    effects, not_compared = effects_between(runs, tensors=tensors)
    return Comparison(
        before=_side(runs[0]),
        after=_side(runs[1]),
        verdict=verdict_on(effects, not_compared, tolerances),
        causes=tuple(causes),
        code=tuple(code),
        effects=effects,
        gaps=tuple(gaps),
    )


def _opened(run: str | os.PathLike[str] | Run) -> Run:
    return run if isinstance(run, Run) else Run.open(run)


def _side(run: Run) -> Side:
    return Side(run.name, str(run.path), _seal_id(run), _status(run, lambda status: status.describe()))


def _seal_id(run: Run) -> str | None:
    try:
        return run.seal_id
    except (ArchiverError, OSError):
        return None


def _status(run: Run, describe: Any) -> str:
    try:
        return str(describe(run.status))
    except (ArchiverError, OSError):
        return "unknown"


def effects_between(runs: tuple[Run, Run], *, tensors: bool = True) -> tuple[Effects, list[Gap]]:
    """What came out of both, and what of it could not be compared.

    Args:
        runs: the archives.
        tensors: whether to read the weights that differ.
    """
    gaps: list[Gap] = []
    histories: Any = tuple(_history(side, run, gaps) for side, run in _sides(runs))
    results: Any = _both(runs, layout.RESULTS, gaps)
    metrics = metrics_between(*histories) if None not in histories else []
    gaps += lacking_metrics(*histories) if None not in histories else []
    test: TestDifference | None = None
    if None not in results:
        test, untested = test_between(runs, results)
        gaps += untested
    effects = Effects(
        weights_digests=_digests(results, "weights_digest"),
        initial_weights_digests=_digests(results, "initial_weights_digest"),
        epoch_counts=_counts(histories),
        statuses=(_outcome(runs[0]), _outcome(runs[1])),
        weights=_weights(runs, gaps, tensors=tensors),
        metrics=tuple(metrics),
        first_step=first_step(*runs) if metrics else None,
        test=test,
    )
    return effects, gaps


def _outcome(run: Run) -> str:
    return _status(run, lambda each: f"{each.status} ({each.stop_reason})" if each.stop_reason else each.status)


def _sides(runs: tuple[Run, Run]) -> tuple[tuple[Place, Run], tuple[Place, Run]]:
    return ("before", runs[0]), ("after", runs[1])


def _history(side: Place, run: Run, gaps: list[Gap]) -> History | None:
    """That of a run that has not ended comes from its journal."""
    path = layout.HISTORY.path(run.name)
    try:
        history = history_so_far(run)
    except (ArchiverError, OSError) as error:
        gaps.append(Gap(side, path, first_line(error)))
        return None
    if not history.phases:
        gaps.append(Gap(side, path, "there is none, and the journal tells of no training"))
        return None
    if not run.has(layout.HISTORY):
        gaps.append(Gap(side, path, "there is none: metrics are those of the journal"))
    return history


def _both(runs: tuple[Run, Run], file: Any, gaps: list[Gap]) -> tuple[Any, Any]:
    found = []
    for side, run in _sides(runs):
        record = None
        try:
            record = run.read_if_there(file)
            reason = f"there is no {file.description}"
        except ArchiverError as error:
            reason = first_line(error)
        if record is None:
            gaps.append(Gap(side, file.path(run.name), reason))
        found.append(record)
    return found[0], found[1]


def _digests(results: tuple[Results | None, Results | None], name: str) -> tuple[str | None, str | None]:
    before, after = (None if record is None else known(getattr(record, name)) for record in results)
    return before, after


def _counts(histories: tuple[History | None, History | None]) -> tuple[int | None, int | None]:
    before, after = (None if history is None else len(epochs_of(history)) for history in histories)
    return before, after


def _weights(runs: tuple[Run, Run], gaps: list[Gap], *, tensors: bool) -> WeightsDifference | None:
    tables = weights_tables(*runs, gaps)
    return None if tables is None else weights_between(runs, tables, tensors=tensors)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        derived = {name: _plain(getattr(value, name)) for name in _DERIVED if hasattr(value, name)}
        return fields | derived
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return write_real(value) if isinstance(value, float) else value


_DERIVED = ("relative", "cosine", "is_positive", "is_complete", "absolute")
"""Properties that stand in the JSON beside the fields."""
