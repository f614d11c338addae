"""Whether the traces are those that the record of telemetry describes; only their first lines are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.archive.model_agreement import Disagree
from archiver.archive.peaks import build_peaks
from archiver.errors import ArchiverError
from archiver.records.base import Record
from archiver.records.telemetry import SamplingPart, Telemetry, TracePart
from archiver.storage.journal import JournalContents, events_named

FIRST_COLUMNS = ("elapsed_seconds", "part")
MAXIMAL_HEADER_BYTES = 1 << 16

Fault = tuple[str, str]


def check_telemetry(
    inspection: Inspection, journal: JournalContents | None, records: dict[str, Record], disagree: Disagree
) -> None:
    """Report traces that are not there, or have other columns than described."""
    telemetry: Any = records.get("telemetry")
    if telemetry is None:
        return
    path = layout.TELEMETRY.path(inspection.run.name)
    _check_peaks(inspection, telemetry, records.get("results"), disagree)
    for pointer, message in _faults(inspection, telemetry, _phase_count(journal)):
        disagree(inspection, f"{path}#{pointer}", message)


def _check_peaks(inspection: Inspection, telemetry: Telemetry, results: Any, disagree: Disagree) -> None:
    if results is None:
        return
    expected = build_peaks(telemetry)
    if results.peaks.model_dump_json() != expected.model_dump_json():  # NaN equals nothing
        message = f"is not what follows from {layout.TELEMETRY.path(inspection.run.name)}"
        disagree(inspection, f"{layout.RESULTS.path(inspection.run.name)}#/peaks", message)


def _phase_count(journal: JournalContents | None) -> int:
    return sum(1 for _ in events_named(journal, "phase_started")) if journal is not None else 0


def _faults(inspection: Inspection, telemetry: Telemetry, phase_count: int) -> Iterator[Fault]:
    """A trace gets columns on the right only: those of the last phase are all, unless a later one was killed."""
    sampled = [
        (n, phase.sampling) for n, phase in enumerate(telemetry.phases) if isinstance(phase.sampling, SamplingPart)
    ]
    is_whole = {phase.phase for phase in telemetry.phases} >= set(range(phase_count))
    for number, sampling in sampled:
        is_exact = is_whole and phase_count > 0 and number == sampled[-1][0]
        for index, trace in enumerate(sampling.traces):
            fault = _fault(inspection, trace, is_exact=is_exact)
            if fault is not None:
                yield f"/phases/{number}/sampling/traces/{index}", fault


def _fault(inspection: Inspection, trace: TracePart, *, is_exact: bool) -> str | None:
    path = f"traces/{trace.file}"
    if path in inspection.excused or path in inspection.damaged or inspection.is_below_unlistable(path):
        return None  # which was said
    header = _header(inspection, trace)
    if header is None:
        return f"there is no traces/{trace.file} that can be read"
    described = (*FIRST_COLUMNS, *(column.name for column in trace.columns))
    if header == described or (not is_exact and header[: len(described)] == described):
        return None
    return f"traces/{trace.file} has other columns than those described"


def _header(inspection: Inspection, trace: TracePart) -> tuple[str, ...] | None:
    path = f"traces/{trace.file}"
    if path not in inspection.sizes:
        return None
    try:
        with inspection.open(path) as file:
            line, end, _ = file.read(MAXIMAL_HEADER_BYTES).partition(b"\n")
    except (OSError, ArchiverError):
        return None
    return tuple(line.decode(errors="replace").split(",")) if end else None
