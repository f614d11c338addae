"""What is measured beside the training of a run: it begins and ends with each call of `fit`, and becomes the record."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic

from archiver import layout
from archiver.archive.run import Run
from archiver.records.base import Unavailable
from archiver.records.telemetry import PhaseTelemetry, SamplingPart, Telemetry
from archiver.sampling.memory_sources import machine_memory_bytes
from archiver.sampling.recorder import TelemetryRecorder
from archiver.training.allocators import allocator_statistics
from archiver.training.options import TelemetryOptions
from archiver.training.safeguards import Safeguards
from archiver.training.steps import StepTrace

TRACES_FOLDER = layout.TRACES.pattern.partition("/")[0]


class RunTelemetry:
    """Measures one run, a call of `fit` after the other.

    Args:
        run: the run; traces and record are written into it.
        options: what the user wants measured.
        safeguards: what watches over memory and temperature; begins and ends with the measuring.
        steps: the trace of the steps, which is written as often as a sample is taken; the others count from its origin.
        part: the number of this process among those of the run.
    """

    def __init__(
        self, run: Run, options: TelemetryOptions, safeguards: Safeguards, steps: StepTrace, part: int = 0
    ) -> None:
        self._run, self._options, self._safeguards = run, options, safeguards
        self._steps = steps
        self._origin_seconds = self._begin_seconds = steps.origin_seconds
        self._part = part
        self._recorder: TelemetryRecorder | None = None
        self._phase: int | None = None
        """Of the measuring that has not been summed up yet."""
        self._phases: list[PhaseTelemetry] = []
        self._is_unwritten = False

    def take_over(self, phases: Iterable[PhaseTelemetry]) -> None:
        """An earlier process measured these phases."""
        self._phases = list(phases)

    @property
    def phases(self) -> tuple[PhaseTelemetry, ...]:
        """What was measured so far."""
        return tuple(self._phases)

    def begin(self, phase: int, stage: str = "preparing") -> None:
        """Begin to measure a phase.

        Raises:
            ArchiverError: the traces cannot be written.
        """
        self._phase = phase
        self._begin_seconds = monotonic()
        self._safeguards.begin()
        hertz = self._options.sampling_hertz
        if hertz is None:
            return
        recorder = TelemetryRecorder(
            self._run.path / TRACES_FOLDER,
            rate_hertz=hertz,
            backend_memory=allocator_statistics(),
            origin_seconds=self._origin_seconds,
            part=self._part,
            on_sample=self._steps.flush,
        )
        recorder.start(stage)
        self._recorder = recorder

    def begin_stage(self, stage: str) -> None:
        """What is measured from now on belongs to another stage: `training`, `saving`."""
        if self._recorder is not None:
            self._recorder.begin_phase(stage)

    def stop(self) -> None:
        """Measure no more. May be called again, from any thread."""
        if self._phase is None:
            return
        recorder, self._recorder = self._recorder, None
        phase, self._phase = self._phase, None
        self._is_unwritten = True
        self._safeguards.stop()
        self._phases.append(
            PhaseTelemetry(
                phase=phase,
                begin_elapsed_seconds=self._begin_seconds - self._origin_seconds,
                sampling=self._sampling(recorder),
                cooling=self._safeguards.cooling(),
                guard=self._safeguards.guard(),
            )
        )

    def _sampling(self, recorder: TelemetryRecorder | None) -> SamplingPart | Unavailable:
        if self._options.sampling_hertz is None:
            return Unavailable(unavailable="turned off: sampling_hertz was 0 or None")
        if recorder is None:
            return Unavailable(unavailable="the sampling could not begin; the journal says why")
        if not recorder.stop():
            return Unavailable(unavailable="the sampling thread did not end: a device does not answer")
        return recorder.summary()

    def write(self) -> None:
        """Measure no more, and write the record of all phases, if there is something new in it.

        Raises:
            StorageError: the file system refused.
        """
        self.stop()
        if self._is_unwritten:
            self._is_unwritten = False
            self._run.write(layout.TELEMETRY, telemetry_record(self._phases))


def telemetry_record(phases: list[PhaseTelemetry]) -> Telemetry:
    """The record of what was measured, phase by phase."""
    peaks = [each.sampling.peak_rss_bytes for each in phases if isinstance(each.sampling, SamplingPart)]
    nothing = Unavailable(unavailable="nothing was sampled")
    return Telemetry(
        peak_rss_bytes=max(peaks) if peaks else nothing,
        machine_memory_bytes=machine_memory_bytes(),
        phases=tuple(phases),
    )
