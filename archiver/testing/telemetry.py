"""What a tiny run says of memory and processors: traces of a few rows, and their record."""

from __future__ import annotations

from datetime import timedelta

from archiver import layout
from archiver.archive.run import Run
from archiver.records.base import Unavailable, utc_now
from archiver.records.telemetry import (
    ColumnSummary,
    GuardLimits,
    GuardPart,
    PhaseTelemetry,
    PhaseUse,
    SamplingPart,
    Telemetry,
    TraceColumn,
    TracePart,
    UnavailableReading,
)
from archiver.sampling.columns import Column
from archiver.sampling.process import COLUMNS as PROCESS_COLUMNS
from archiver.sampling.system import COLUMNS as SYSTEM_COLUMNS
from archiver.sampling.traces import MAXIMAL_ROWS, TraceFile

ROWS = 4
MACHINE_BYTES = 8 << 30
_STAGES = ("preparing", "training", "saving")
_TRACES = (layout.MEMORY_TRACE, layout.UTILISATION_TRACE)


def write_traces(run: Run, phase: int) -> None:
    """Append the rows of a phase to the traces, a second apart."""
    for file in _TRACES:
        columns = _columns(file)
        trace = TraceFile(run.path_of(file), columns, part=0)
        for row in range(ROWS):
            trace.append(float(phase * ROWS + row), [_value(column, row) for column in columns])
        trace.close()


def write_telemetry(run: Run, phase: int) -> None:
    """Write the record, with one more phase."""
    before = run.read_if_there(layout.TELEMETRY)
    largest = int(_value(PROCESS_COLUMNS[0], ROWS - 1))
    capacity = MACHINE_BYTES // 2
    limits = GuardLimits(
        capacity_bytes=capacity, soft_limit_bytes=int(0.7 * capacity), hard_limit_bytes=int(0.85 * capacity),
        poll_seconds=0.02,
    )  # fmt: skip
    part = PhaseTelemetry(
        phase=phase,
        begin_elapsed_seconds=float(phase * ROWS),
        sampling=_sampling(phase, largest),
        cooling=Unavailable(unavailable="made up by archiver.testing"),
        guard=GuardPart(limits=limits, events=()),
    )
    phases = (*(before.phases if before else ()), part)
    run.write(layout.TELEMETRY, Telemetry(peak_rss_bytes=largest, machine_memory_bytes=MACHINE_BYTES, phases=phases))


def _sampling(phase: int, largest: int) -> SamplingPart:
    return SamplingPart(
        part=0,
        rate_hertz=1.0,
        started=utc_now() - timedelta(seconds=ROWS),
        duration_seconds=float(ROWS),
        sample_count=ROWS,
        missed_sample_count=0,
        failed_sample_count=0,
        last_failure=None,
        peak_rss_bytes=largest,
        phases=tuple(_use(stage, largest) for stage in _STAGES),
        traces=tuple(_trace(file, phase) for file in _TRACES),
        unavailable_readings=(UnavailableReading(reading="gpu_...", reason="made up by archiver.testing"),),
    )


def _use(stage: str, largest: int) -> PhaseUse:
    columns = tuple(_summary(column) for file in _TRACES for column in _columns(file))
    return PhaseUse(phase=stage, duration_seconds=ROWS / len(_STAGES), peak_rss_bytes=largest, columns=columns)


def _summary(column: Column) -> ColumnSummary:
    low, high = _value(column, 0), _value(column, ROWS - 1)
    return ColumnSummary(
        column=column.name, count=ROWS, mean=(low + high) / 2, minimum=low, maximum=high, percentile_5=low,
        percentile_50=(low + high) / 2, percentile_95=high, percentile_99=high,
    )  # fmt: skip


def _trace(file: layout.ArchiveFile, phase: int) -> TracePart:
    return TracePart(
        file=file.pattern.partition("/")[2],
        columns=tuple(TraceColumn(name=each.name, description=each.description) for each in _columns(file)),
        row_count=(phase + 1) * ROWS,
        maximal_row_count=MAXIMAL_ROWS,
        is_thinned=False,
    )


def _columns(file: layout.ArchiveFile) -> list[Column]:
    name = file.pattern.partition("/")[2].removesuffix(".csv")
    return [column for column in (*PROCESS_COLUMNS, *SYSTEM_COLUMNS) if column.trace == name]


def _value(column: Column, row: int) -> float:
    """A number that grows from row to row, of the size that the unit lets one expect."""
    if column.name.endswith("_bytes"):
        return float((256 + 16 * row) << 20)
    return 25.0 + 5 * row
