"""What the report says of the machine: use of memory and processors by phase, cooling breaks, alerts, figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archiver.archive.run import Run
from archiver.records.base import Unavailable
from archiver.records.telemetry import (
    ColumnSummary,
    CoolingSummary,
    GuardEvent,
    PhaseTelemetry,
    PhaseUse,
    SamplingPart,
    Telemetry,
)
from archiver.report.markdown import format_bytes

MAXIMAL_ROWS = 30
MAXIMAL_REASONS = 10

_READINGS = {
    "gpu_...": "GPUs",
    "cpu_celsius": "temperature of the processor",
    "memory_pressure_percent": "memory pressure",
    "backend_...": "memory that the framework's allocator counts",
}
"""What the sampler did not find, for a reader."""


@dataclass(frozen=True)
class UseRow:
    """One stage of one call of `fit`. None: not measured."""

    phase: int
    """From 1."""
    stage: str
    seconds: float
    peak_rss_bytes: int
    mean_cpu_percent: float | None
    largest_gpu_bytes: float | None
    mean_gpu_percent: float | None
    largest_celsius: float | None


@dataclass(frozen=True)
class Resources:
    """What the template gets."""

    telemetry: Telemetry
    peak_rss_bytes: int | None
    share_percent: float | None
    """The peak, of what the process could have at most."""
    rows: tuple[UseRow, ...]
    left_out_count: int
    cooling: tuple[tuple[int, CoolingSummary], ...]
    """(phase from 1, its breaks)."""
    alerts: tuple[tuple[int, GuardEvent], ...]
    figures: tuple[tuple[str, str], ...]
    """(path, what it shows)."""
    unavailable: tuple[tuple[str, str], ...]
    """(what was not measured, why)."""


def resources(run: Run, telemetry: Telemetry | None) -> Resources | None:
    """What the report says; None where nothing was recorded."""
    if telemetry is None:
        return None
    peak = telemetry.peak_rss_bytes if isinstance(telemetry.peak_rss_bytes, int) else None
    rows = [row for phase in telemetry.phases for row in _rows(phase)]
    numbered = [(each.phase + 1, each) for each in telemetry.phases]
    return Resources(
        telemetry=telemetry,
        peak_rss_bytes=peak,
        share_percent=None if peak is None else 100 * peak / max(1, telemetry.machine_memory_bytes),
        rows=tuple(rows[:MAXIMAL_ROWS]),
        left_out_count=max(0, len(rows) - MAXIMAL_ROWS),
        cooling=tuple((n, each.cooling) for n, each in numbered if not isinstance(each.cooling, Unavailable)),
        alerts=tuple((n, event) for n, each in numbered for event in _events(each)),
        figures=tuple((path, what) for path, what in _figures(peak, rows) if (run.path / path).is_file()),
        unavailable=_unavailable(telemetry)[:MAXIMAL_REASONS],
    )


def _figures(peak: int | None, rows: list[UseRow]) -> Iterator[tuple[str, str]]:
    """Paths, and what each shows in words."""
    most = f": at most {format_bytes(peak)} in the process" if peak is not None else " of process and machine"
    yield "figures/memory.svg", f"Memory over time{most}"
    yield "figures/utilisation.svg", "Use of processors over time, in per cent of a core"
    hottest = max((row.largest_celsius for row in rows if row.largest_celsius is not None), default=None)
    warmth = f": at most {hottest:.0f} °C" if hottest is not None else " of the machine's sensors"
    yield "figures/temperature.svg", f"Temperatures over time{warmth}"


def _events(phase: PhaseTelemetry) -> tuple[GuardEvent, ...]:
    return () if isinstance(phase.guard, Unavailable) else phase.guard.events


def _unavailable(telemetry: Telemetry) -> tuple[tuple[str, str], ...]:
    parts = [each.sampling for each in telemetry.phases if isinstance(each.sampling, SamplingPart)]
    found = parts[-1].unavailable_readings if parts else ()
    return tuple(
        (_READINGS.get(each.reading, each.reading), each.reason.removeprefix("LookupError: ")) for each in found
    )


def _rows(phase: PhaseTelemetry) -> Iterator[UseRow]:
    if isinstance(phase.sampling, SamplingPart):
        yield from (_row(phase.phase + 1, use) for use in phase.sampling.phases)


def _row(phase: int, use: PhaseUse) -> UseRow:
    columns = {each.column: each for each in use.columns}
    gpus = {name: each for name, each in columns.items() if name.startswith("gpu_")}
    celsius = [columns["cpu_celsius"]] if "cpu_celsius" in columns else []
    celsius += [each for name, each in gpus.items() if name.endswith("_celsius")]
    busy = [each for name, each in gpus.items() if name.endswith("_utilisation_percent") and "memory" not in name]
    used = [each for name, each in gpus.items() if name.endswith("_used_bytes")]
    return UseRow(
        phase=phase,
        stage=use.phase,
        seconds=use.duration_seconds,
        peak_rss_bytes=use.peak_rss_bytes,
        mean_cpu_percent=columns["cpu_percent"].mean if "cpu_percent" in columns else None,
        largest_gpu_bytes=_largest(used),
        mean_gpu_percent=max((each.mean for each in busy), default=None),
        largest_celsius=_largest(celsius),
    )


def _largest(columns: list[ColumnSummary]) -> float | None:
    return max((each.maximum for each in columns), default=None)
