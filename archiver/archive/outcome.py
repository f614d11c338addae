"""History and results, derived from the journal: what is written while training runs is what a crash leaves.

The same functions serve the live run at its end and `archiver finalize` on what a killed process left behind.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

from archiver import layout
from archiver.archive.completeness import excused_files
from archiver.archive.convergence import build_convergence
from archiver.archive.directions import direction_by_name
from archiver.archive.peaks import build_peaks
from archiver.archive.performance import build_performance
from archiver.archive.phases import Phase, count, gather_phases, real, understanding
from archiver.archive.run import Run
from archiver.archive.status import Status, status_of
from archiver.archive.timing import build_timing
from archiver.errors import ArchiverError
from archiver.layout import RecordFile
from archiver.records.base import Record, Unavailable
from archiver.records.journal import ExceptionPart, RunStatus
from archiver.records.lineage import ParentPart
from archiver.records.model import WeightsTable
from archiver.records.performance import Direction, EarlyStop
from archiver.records.results import BestEpoch, Peaks, Results, TestResults
from archiver.records.training import History, PhaseHistory
from archiver.storage.journal import JournalContents, events_named

R = TypeVar("R", bound=Record)


@understanding()
def build_history(contents: JournalContents, fallback: RunStatus = "interrupted") -> History:
    """The metrics of every epoch. `fallback`: the status of a last phase whose end is not in the journal.

    Raises:
        RecordError: the journal makes no sense.
    """
    return History(phases=tuple(_phase_history(phase, fallback) for phase in gather_phases(contents)))


def history_so_far(run: Run) -> History:
    """The record of a sealed run; what the journal tells of one that is not sealed, or has no such record.

    Raises:
        ArchiverError: what is there cannot be read.
        OSError: the journal is not there, or not permitted.
    """
    if run.seal_id is not None and run.has(layout.HISTORY):
        return run.read(layout.HISTORY)
    return build_history(run.journal.read())


def _phase_history(phase: Phase, fallback: RunStatus) -> PhaseHistory:
    epochs = [event.details for event in phase.epochs]
    logs = [epoch.get("metrics", {}) for epoch in epochs]
    names = list(dict.fromkeys(name for log in logs for name in log))
    exception, stopping = phase.status.get("exception"), phase.status.get("early_stopping")

    def column(key: str) -> tuple[float | None, ...]:
        return tuple(real(epoch.get(key)) for epoch in epochs)

    return PhaseHistory(
        phase=phase.number,
        status=phase.status.get("status", fallback),
        stop_reason=phase.status.get("stop_reason"),
        exception=ExceptionPart.model_validate(exception) if exception else None,
        started=phase.started.utc,
        ended=phase.ended.utc if phase.ended else None,
        early_stopping=EarlyStop.model_validate(stopping) if stopping else None,
        epochs=tuple(epoch["epoch"] for epoch in epochs),
        epoch_seconds=tuple(seconds or 0.0 for seconds in column("seconds")),
        train_seconds=column("train_seconds"),
        validation_seconds=column("validation_seconds"),
        step_counts=tuple(count(epoch.get("step_count")) for epoch in epochs),
        first_step_seconds=column("first_step_seconds"),
        median_step_seconds=column("median_step_seconds"),
        learning_rates=column("learning_rate"),
        metrics={name: tuple(real(log.get(name)) for log in logs) for name in names},
        directions=_directions(epochs, names),
    )


def _directions(epochs: list[dict[str, Any]], names: list[str]) -> dict[str, Direction]:
    """As an epoch says in which a metric appeared; what it says of a training metric holds in validation too."""
    said: dict[str, Direction | None] = {}
    for epoch in epochs:
        said |= epoch.get("directions") or {}
    told = {name: said.get(name) or said.get(name.removeprefix("val_")) for name in names}
    return {name: direction or direction_by_name(name) or "unknown" for name, direction in told.items()}


@understanding()
def build_results(run: Run, contents: JournalContents, history: History, test: TestResults | Unavailable) -> Results:
    """The results of a run as its journal tells them.

    Raises:
        RecordError: the journal is empty, or makes no sense.
    """
    status = _final_status(contents, sealed=False)
    events = contents.events
    ended = max((phase.ended for phase in history.phases if phase.ended), default=events[-1].utc)
    sections = derived_sections(contents, history)
    table = _read(run, layout.WEIGHTS)
    saved = _saved_digest(run, contents, table)
    return Results(
        status=status.status,
        stop_reason=status.stop_reason,
        exception=status.exception,
        started=history.phases[0].started if history.phases else events[0].utc,
        ended=ended,
        training_seconds=sections["timing"].whole_run.total_seconds,
        phase_count=len(history.phases),
        epoch_count=sum(len(phase.epochs) for phase in history.phases),
        final_metrics=_final_metrics(history),
        best_epoch=_best_epoch(run, contents, saved),
        weights_digest=saved,
        initial_weights_digest=_initial_digest(table),
        first_non_finite_loss=_first_non_finite_loss(history),
        test=test,
        **sections,
        peaks=_peaks(run),
        logged={event.details["name"]: event.details["value"] for event in events if event.event == "logged"},
    )


@understanding()
def derived_sections(contents: JournalContents, history: History) -> dict[str, Any]:
    """The sections of the results that follow from the journal alone, by field.

    Raises:
        RecordError: the journal makes no sense.
    """
    return {
        "convergence": build_convergence(contents, history),
        "performance": build_performance(history),
        "timing": build_timing(contents),
        "parents": _parents(contents),
    }


def _parents(contents: JournalContents) -> tuple[ParentPart, ...]:
    return tuple(ParentPart.model_validate(event.details) for event in events_named(contents, "parent_found"))


def _peaks(run: Run) -> Peaks | Unavailable:
    telemetry = _read(run, layout.TELEMETRY)
    return build_peaks(telemetry) if telemetry is not None else Unavailable(unavailable="there is no telemetry")


def _read(run: Run, file: RecordFile[R]) -> R | None:
    try:
        return run.read_if_there(file)
    except ArchiverError:
        return None


def _initial_digest(table: WeightsTable | None) -> str | Unavailable:
    if table is None or not table.phases:
        return Unavailable(unavailable="the weights were not followed")
    return table.phases[0].initial_weights_digest


def _final_status(contents: JournalContents, *, sealed: bool) -> Status:
    status = status_of(contents, sealed=sealed)
    return Status("interrupted", sealed) if status.status == "running" else status


def _final_metrics(history: History) -> dict[str, float]:
    final: dict[str, float] = {}
    for phase in history.phases:
        for name, column in phase.metrics.items():
            values = [value for value in column if value is not None]
            if values:
                final[name] = values[-1]
    return final


def _saved_digest(run: Run, contents: JournalContents, table: WeightsTable | None) -> str | Unavailable:
    """As the table beside the models says; as the journal says where that could not be written."""
    saved = [event.details.get("weights_digest") for event in events_named(contents, "models_saved")]
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
    return _best_epoch(run, contents, _saved_digest(run, contents, _read(run, layout.WEIGHTS)))


def _best_epoch(run: Run, contents: JournalContents, saved: str | Unavailable) -> BestEpoch | Unavailable:
    events = _best_epochs(contents)
    if not events:
        return Unavailable(unavailable="no metric was monitored, or none had a value")
    best = events[-1]
    digest = best["weights_digest"]
    file = layout.BEST_WEIGHTS.path(run.name) if digest and run.has(layout.BEST_WEIGHTS) else None
    kept = file is not None or digest == saved
    return BestEpoch(
        monitor=best["monitor"],
        mode=best["mode"],
        phase=best["phase"],
        epoch=best["epoch"],
        value=best["value"],
        weights_digest=digest if kept else Unavailable(unavailable="the weights of that epoch were not kept"),
        file=file,
    )


def _best_epochs(contents: JournalContents) -> list[dict[str, Any]]:
    """What the journal says of them, but for epochs that another process went over again."""
    found: list[dict[str, Any]] = []
    phase = -1
    for event in contents.events:
        if event.event == "phase_started":
            phase += 1
        elif event.event == "best_epoch":
            found.append(event.details)
        elif event.event == "resumed":
            epoch = count(event.details.get("epoch")) or 0
            found = [each for each in found if each["phase"] != phase or each["epoch"] < epoch]
    return found
