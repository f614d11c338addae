"""Samples everything at a steady rate, writes the traces, and sums up by phase: what a training uses."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, get_args

from archiver.errors import ArchiverError, ArgumentError, RunStateError
from archiver.records.base import utc_now
from archiver.records.telemetry import (
    ColumnSummary,
    PhaseUse,
    SamplingPart,
    TraceColumn,
    TracePart,
    UnavailableReading,
)
from archiver.sampling.arguments import checked_folder, checked_function, checked_number
from archiver.sampling.backend import AllocatorStatistics, BackendSampler
from archiver.sampling.children import ChildrenSampler
from archiver.sampling.columns import Cell, Column, Sampler, TraceName
from archiver.sampling.container import ContainerSampler
from archiver.sampling.gpus import GpuSampler
from archiver.sampling.peaks import PeakMeter
from archiver.sampling.process import ProcessSampler
from archiver.sampling.statistics import Distribution
from archiver.sampling.system import SystemSampler
from archiver.sampling.temperature import TemperatureSampler
from archiver.sampling.thread import SteadyThread, checked_rate
from archiver.sampling.traces import MAXIMAL_ROWS, TraceFile, minimal_rows

WORTH_A_SAMPLE_SECONDS = 0.05
SUMMED_UP_TOGETHER = 64
"""One after the other, with what the processor has at hand, many cost a tenth of what each costs alone."""

PATIENCE_SECONDS = 1.0
"""How long the beginning of a phase waits for a sample under way; a device that does not answer holds nothing up."""


def default_samplers(
    folder: Path, gpu_indices: Sequence[int] | None = None, backend_memory: AllocatorStatistics | None = None
) -> tuple[Sampler, ...]:
    """All samplers, or what is left of them on this machine.

    Raises:
        ArgumentError: there is no GPU of such an index.
    """
    gpus = GpuSampler(gpu_indices)
    nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    samplers: list[Sampler] = [ProcessSampler(), ChildrenSampler(), SystemSampler(nearest), ContainerSampler(), gpus]
    samplers.append(TemperatureSampler())
    if backend_memory is not None:
        samplers.append(BackendSampler(backend_memory))
    return tuple(samplers)


@dataclass
class _Phase:
    """What is summed up of one phase."""

    name: str
    begin: float
    seconds: float = 0.0
    peak_rss_bytes: int = 0
    columns: dict[str, Distribution] = field(default_factory=dict)


class TelemetryRecorder:
    """Measures this process and its machine from `start` to `stop`. Nothing that goes wrong while it runs is raised.

    Args:
        folder: where the traces are written: `memory.csv`, `utilisation.csv`, `temperature.csv`.
        part: number of this process among those of the run.
        rate_hertz: samples per second, up to 50.
        gpu_indices: which NVIDIA GPUs, as the driver counts them; None: all.
        backend_memory: asks the backend's allocator.
        maximal_rows: how many rows a trace may have; it is thinned to half of them when it has so many.
        samplers: instead of `default_samplers`.
        origin_seconds: the reading of `time.monotonic()` from which `elapsed_seconds` counts; None: the start. It
            lets several recorders of one part share a clock.
        on_sample: is called when the rows of a sample are written, on the thread that took it.

    Raises:
        ArgumentError: a rate or a number of rows that cannot be, or a GPU that is not there.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        part: int = 0,
        rate_hertz: float = 1.0,
        gpu_indices: Sequence[int] | None = None,
        backend_memory: AllocatorStatistics | None = None,
        maximal_rows: int = MAXIMAL_ROWS,
        samplers: Sequence[Sampler] | None = None,
        origin_seconds: float | None = None,
        on_sample: Callable[[], None] | None = None,
    ) -> None:
        self.folder = checked_folder("folder", folder)
        self.rate_hertz = checked_rate(rate_hertz)
        if isinstance(part, bool) or not isinstance(part, int) or part < 0:
            raise ArgumentError(f"Received part={part!r}. Expected a whole number of at least 0.")
        self.part = part
        if origin_seconds is not None:
            expected = "a reading of time.monotonic(), or None"
            checked_number("origin_seconds", origin_seconds, least=0, most=math.inf, expected=expected)
        checked_function("backend_memory", backend_memory)
        checked_function("on_sample", on_sample)
        self._on_sample = on_sample
        self._samplers = (
            tuple(samplers) if samplers is not None else default_samplers(self.folder, gpu_indices, backend_memory)
        )
        self._measuring = tuple(each for each in self._samplers if each.columns)
        """Without those that found nothing to measure on this machine."""
        self._columns: tuple[Column, ...] = tuple(column for each in self._samplers for column in each.columns)
        self._maximal_rows = _checked_rows(maximal_rows, self._columns)
        self._names = tuple(column.name for column in self._columns)
        self._last: Sequence[Cell] = ()
        self._waiting: list[Sequence[Cell]] = []
        """Samples of the current phase that are not summed up yet."""
        self._traces: list[tuple[TraceFile, Any]] = []
        self._phases: list[_Phase] = []
        self._sampler_failures: dict[str, str] = {}
        self._thread = SteadyThread(self.sample, 1 / self.rate_hertz, "archiver-sampling")
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._sample_count = 0
        self._origin = origin_seconds
        self._begin = self._last_sample = self._end = 0.0

    # -- lifetime

    @property
    def is_running(self) -> bool:
        """Whether samples are taken, by this process."""
        return self._thread.is_running

    def start(self, phase: str = "run") -> None:
        """Begin with the first sample, as the first of a phase.

        Raises:
            StorageError: the traces cannot be made.
            RecordError: a file of that name is no trace.
        """
        self._started = utc_now()
        self._begin = time.monotonic()
        self._zero = self._begin if self._origin is None else self._origin
        self._peak = PeakMeter()
        self._phase_peak = PeakMeter()
        self._lifetime_peak = 0
        try:
            for name in get_args(TraceName):
                self._open(name)
        except ArchiverError:
            self.close()
            raise
        self.begin_phase(phase)
        self._thread.start()

    def _open(self, name: TraceName) -> None:
        numbers = [number for number, column in enumerate(self._columns) if column.trace == name]
        if numbers:
            os.makedirs(self.folder, exist_ok=True)
            columns = [self._columns[number] for number in numbers]
            trace = TraceFile(self.folder / f"{name}.csv", columns, self.part, self._maximal_rows)
            self._traces.append((trace, itemgetter(*numbers, numbers[0])))  # the last one: always a tuple

    def stop(self) -> bool:
        """Take a last sample and end. Nothing happens in a forked child, nor twice.

        Returns whether nothing samples any more: a device that does not answer may hold up the thread; what it says
        later is written nowhere.
        """
        if self._owner != os.getpid() or not self._phases or self._end:
            return True
        is_free = self._thread.stop()
        with suppress(Exception):
            if is_free and time.monotonic() - self._last_sample > WORTH_A_SAMPLE_SECONDS:
                self.sample()
        self._end = time.monotonic()
        self._close_phase()
        if is_free:
            self.close()
        return is_free

    def close(self) -> None:
        """Give back what is held open; `stop` does it too."""
        for trace, _ in self._traces:
            trace.close()
        for sampler in self._samplers:
            sampler.close()

    # -- samples

    @property
    def latest(self) -> dict[str, Cell]:
        """The last sample, by column; empty before the first."""
        return dict(zip(self._names, self._last, strict=False))

    def begin_phase(self, phase: str) -> None:
        """What is sampled from now on belongs to another phase; one that comes again goes on."""
        if self._owner != os.getpid() or not self._lock.acquire(timeout=PATIENCE_SECONDS):
            return
        try:
            self._close_phase()
            known = next((each for each in self._phases if each.name == phase), None)
            self._current = known or _Phase(phase, 0.0, columns={name: Distribution() for name in self._names})
            self._current.begin = time.monotonic()
            if known is None:
                self._phases.append(self._current)
        finally:
            self._lock.release()

    def _close_phase(self) -> None:
        peak = self._phase_peak.take()
        if self._phases:
            self._sum_up()
            current = self._current
            current.peak_rss_bytes = max(current.peak_rss_bytes, peak)
            current.seconds += time.monotonic() - current.begin
            current.begin = time.monotonic()

    def sample(self) -> None:
        """Take a sample, write its rows, sum it up. The thread calls this.

        Raises:
            StorageError: a trace could not be thinned.
        """
        with self._lock:
            self._last_sample = now = time.monotonic()
            cells: list[Cell] = []
            for sampler in self._measuring:
                cells += self._cells_of(sampler)
            if self._end:
                return
            self._sample_count += 1
            self._last = cells
            self._waiting.append(cells)
            if len(self._waiting) >= SUMMED_UP_TOGETHER:
                self._sum_up()
            for trace, pick in self._traces:
                trace.append(now - self._zero, pick(cells))
            if self._on_sample is not None:
                self._on_sample()

    def _sum_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        for name, cells in zip(self._names, zip(*waiting, strict=True), strict=False):
            column = self._current.columns[name]
            for cell in cells:
                if cell is not None:
                    column.add(cell)

    def _cells_of(self, sampler: Sampler) -> Sequence[Cell]:
        try:
            return sampler.cells(sampler.sample())
        except Exception as error:  # noqa: BLE001 - a sampler that fails leaves its cells empty, the others go on
            name = type(sampler).__name__
            self._sampler_failures.setdefault(name, f"failed while sampling: {type(error).__name__}: {error}")
            return (None,) * len(sampler.columns)

    # -- what came out

    @property
    def unavailable(self) -> dict[str, str]:
        """By column or group of columns: what is not measured here, and why."""
        found: dict[str, str] = {}
        for sampler in self._samplers:
            found |= sampler.unavailable
        return found | self._sampler_failures

    def summary(self) -> SamplingPart:
        """What was measured so far.

        Raises:
            RunStateError: it has not been started.
        """
        if not self._phases:
            raise RunStateError("There is nothing to sum up before start(). Call start() first.")
        with self._lock:
            if not self._end:
                self._close_phase()
            self._lifetime_peak = max(self._lifetime_peak, self._peak.take())
            return SamplingPart(
                part=self.part,
                rate_hertz=self.rate_hertz,
                started=self._started,
                duration_seconds=(self._end or time.monotonic()) - self._begin,
                sample_count=self._sample_count,
                missed_sample_count=self._thread.pulse.missed_count,
                failed_sample_count=self._thread.pulse.failure_count,
                last_failure=self._thread.pulse.last_failure,
                peak_rss_bytes=max(self._lifetime_peak, *(phase.peak_rss_bytes for phase in self._phases)),
                phases=tuple(_phase_use(phase) for phase in self._phases),
                traces=tuple(self._trace_part(trace) for trace, _ in self._traces),
                unavailable_readings=tuple(
                    UnavailableReading(reading=reading, reason=reason) for reading, reason in self.unavailable.items()
                ),
            )

    def _trace_part(self, trace: TraceFile) -> TracePart:
        described = {column.name: column.description for column in self._columns}
        return TracePart(
            file=trace.path.name,
            columns=tuple(
                TraceColumn(name=name, description=described.get(name, "measured by an earlier part only"))
                for name in trace.header[2:]
            ),
            row_count=trace.row_count,
            maximal_row_count=self._maximal_rows,
            is_thinned=trace.is_thinned,
            lost_row_count=trace.lost_row_count,
        )


def _checked_rows(maximal_rows: int, columns: Sequence[Column]) -> int:
    traces = [[column for column in columns if column.trace == name] for name in get_args(TraceName)]
    least = max(minimal_rows(len(each), sum(column.is_key for column in each)) for each in traces)
    if isinstance(maximal_rows, bool) or not isinstance(maximal_rows, int) or maximal_rows < least:
        raise ArgumentError(f"Received maximal_rows={maximal_rows!r}. Expected a whole number of at least {least}.")
    return maximal_rows


def _phase_use(phase: _Phase) -> PhaseUse:
    return PhaseUse(
        phase=phase.name,
        duration_seconds=phase.seconds,
        peak_rss_bytes=phase.peak_rss_bytes,
        columns=tuple(_column_summary(name, values) for name, values in phase.columns.items() if values.count),
    )


def _column_summary(name: str, values: Distribution) -> ColumnSummary:
    return ColumnSummary(
        column=name,
        count=values.count,
        mean=values.mean,
        minimum=float(values.minimum),
        maximum=float(values.maximum),
        percentile_5=values.percentile(5),
        percentile_50=values.percentile(50),
        percentile_95=values.percentile(95),
        percentile_99=values.percentile(99),
    )
