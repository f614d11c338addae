"""History and results, derived from the journal: what is written while training runs is what a crash leaves.

The same functions serve the live run at its end and `archiver finalize` on what a killed process left behind.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from archiver import layout
from archiver.archive.completeness import excused_files
from archiver.archive.run import Run
from archiver.archive.status import Status, status_of
from archiver.errors import ArchiverError, RecordError
from archiver.records.base import NON_FINITE, Unavailable
from archiver.records.journal import ExceptionPart, JournalEvent, RunStatus
from archiver.records.results import BestEpoch, Results, TestResults
from archiver.records.training import History, PhaseHistory
from archiver.storage.journal import JOURNAL_NAME, JournalContents, events_named

Mode = Literal["min", "max"]


@dataclass
class _Phase:
    """The events of one phase, gathered."""

    number: int
    started: datetime
    part: int
    last_sign: datetime
    """Time of the last event that the process of this phase wrote."""
    epochs: list[JournalEvent] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    ended: datetime | None = None


@contextlib.contextmanager
def _understanding() -> Iterator[None]:
    """The details of an event are any JSON; what cannot be made sense of is an error of the journal."""
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise RecordError(f"{JOURNAL_NAME}: its events make no sense ({reason})") from error


def _phases(contents: JournalContents) -> list[_Phase]:
    phases: list[_Phase] = []
    for event in contents.events:
        if event.event == "phase_started":
            phases.append(_Phase(len(phases), event.utc, event.part, event.utc))
        elif phases:
            _add(phases[-1], event)
    return phases


def _add(phase: _Phase, event: JournalEvent) -> None:
    if event.part == phase.part:
        phase.last_sign = event.utc
    if event.event == "epoch_ended":
        phase.epochs.append(event)
    elif event.event == "status" and event.details.get("status") != "running":
        # That a process is gone is noticed later, perhaps by days.
        is_late = event.details.get("status") == "interrupted"
        phase.status, phase.ended = event.details, phase.last_sign if is_late else event.utc


@_understanding()
def build_history(contents: JournalContents, fallback: RunStatus = "interrupted") -> History:
    """The metrics of every epoch. `fallback`: the status of a last phase whose end is not in the journal.

    Raises:
        RecordError: the journal makes no sense.
    """
    phases = _phases(contents)
    return History(phases=tuple(_phase_history(phase, fallback) for phase in phases))


def _phase_history(phase: _Phase, fallback: RunStatus) -> PhaseHistory:
    logs = [event.details.get("metrics", {}) for event in phase.epochs]
    names = list(dict.fromkeys(name for log in logs for name in log))
    exception = phase.status.get("exception")
    return PhaseHistory(
        phase=phase.number,
        status=phase.status.get("status", fallback),
        stop_reason=phase.status.get("stop_reason"),
        exception=ExceptionPart.model_validate(exception) if exception else None,
        started=phase.started,
        ended=phase.ended,
        epochs=tuple(event.details["epoch"] for event in phase.epochs),
        epoch_seconds=tuple(real(event.details.get("seconds")) or 0.0 for event in phase.epochs),
        learning_rates=tuple(real(event.details.get("learning_rate")) for event in phase.epochs),
        metrics={name: tuple(real(log.get(name)) for log in logs) for name in names},
    )


def real(value: Any) -> float | None:
    """A number of the journal, where NaN and infinities are strings; None for anything that is no number."""
    if isinstance(value, str):
        return NON_FINITE.get(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@_understanding()
def build_results(run: Run, contents: JournalContents, history: History, test: TestResults | Unavailable) -> Results:
    """The results of a run as its journal tells them.

    Raises:
        RecordError: the journal is empty, or makes no sense.
    """
    status = _final_status(contents, sealed=False)
    events = contents.events
    ended = max((phase.ended for phase in history.phases if phase.ended), default=events[-1].utc)
    return Results(
        status=status.status,
        stop_reason=status.stop_reason,
        exception=status.exception,
        started=history.phases[0].started if history.phases else events[0].utc,
        ended=ended,
        training_seconds=sum(_duration(phase) for phase in history.phases),
        phase_count=len(history.phases),
        epoch_count=sum(len(phase.epochs) for phase in history.phases),
        final_metrics=_final_metrics(history),
        best_epoch=best_epoch(run, contents),
        weights_digest=_saved_digest(run, contents),
        first_non_finite_loss=_first_non_finite_loss(history),
        test=test,
        logged={event.details["name"]: event.details["value"] for event in events if event.event == "logged"},
    )


def _final_status(contents: JournalContents, *, sealed: bool) -> Status:
    status = status_of(contents, sealed=sealed)
    return Status("interrupted", sealed) if status.status == "running" else status


def _duration(phase: PhaseHistory) -> float:
    if phase.ended is None:
        return sum(phase.epoch_seconds)
    return (phase.ended - phase.started).total_seconds()


def _final_metrics(history: History) -> dict[str, float]:
    final: dict[str, float] = {}
    for phase in history.phases:
        for name, column in phase.metrics.items():
            values = [value for value in column if value is not None]
            if values:
                final[name] = values[-1]
    return final


def _saved_digest(run: Run, contents: JournalContents) -> str | Unavailable:
    """As the table beside the models says; as the journal says where that could not be written."""
    saved = [event.details.get("weights_digest") for event in events_named(contents, "models_saved")]
    try:
        table = run.read_if_there(layout.WEIGHTS)
    except ArchiverError:
        table = None
    if table is not None:
        return table.weights_digest
    if not saved:
        return Unavailable(unavailable="no model was saved")
    if layout.WEIGHTS.path(run.name) not in excused_files(contents):
        return Unavailable(unavailable="the process ended while it saved the models")
    return saved[-1] if isinstance(saved[-1], str) else Unavailable(unavailable="the weights could not be read")


def _first_non_finite_loss(history: History) -> Any:
    for phase in history.phases:
        losses = phase.metrics.get("loss", ())
        for epoch, loss in zip(phase.epochs, losses, strict=False):
            if loss is not None and not math.isfinite(loss):
                return {"phase": phase.phase, "epoch": epoch}
    return None


def best_epoch(run: Run, contents: JournalContents) -> BestEpoch | Unavailable:
    """The epoch with the best value of the monitored metric so far, as the last event about it says."""
    events = [event.details for event in contents.events if event.event == "best_epoch"]
    if not events:
        return Unavailable(unavailable="no metric was monitored, or none had a value")
    best = events[-1]
    digest = best["weights_digest"]
    file = layout.BEST_WEIGHTS.path(run.name) if digest and run.has(layout.BEST_WEIGHTS) else None
    kept = file is not None or digest == _saved_digest(run, contents)
    return BestEpoch(
        monitor=best["monitor"],
        mode=best["mode"],
        phase=best["phase"],
        epoch=best["epoch"],
        value=best["value"],
        weights_digest=digest if kept else Unavailable(unavailable="the weights of that epoch were not kept"),
        file=file,
    )


def is_better(value: float, than: float | None, mode: Mode) -> bool:
    """Whether `value` beats the best one so far. The first of equal values wins, as with EarlyStopping; NaN never."""
    if math.isnan(value):
        return False
    return than is None or (value < than if mode == "min" else value > than)
