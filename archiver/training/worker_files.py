"""What each of several processes writes into the archive while they train together: `workers/<index>/`."""

from __future__ import annotations

from itertools import count
from time import perf_counter
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.workers import EVENTS_NAME, FOLDER, SYSTEM_NAME
from archiver.collect.identity import this_process
from archiver.collect.system import collect_system
from archiver.records.environment import SystemRecord
from archiver.sampling.recorder import TelemetryRecorder
from archiver.storage.journal import Journal
from archiver.training.allocators import allocator_statistics
from archiver.training.framework import framework_state
from archiver.training.weights import weights_digest
from archiver.training.workers import Place
from archiver.version import __version__

_meetings = count()


def next_meeting() -> int:
    """The number of a call of `fit` by several processes, the same in all of them: each counts its own."""
    return next(_meetings)


class WorkerFiles:
    """The folder of one process; the chief has one too.

    Args:
        run: the archive.
        place: this process.
    """

    def __init__(self, run: Run, place: Place) -> None:
        self.run, self.place = run, place
        self.folder = run.path / FOLDER / str(place.index)
        self.is_training = False
        self._journal = Journal(self.folder, place.index, EVENTS_NAME)
        self._recorder: TelemetryRecorder | None = None
        self._phase = 0
        self._began = 0.0

    def begin_phase(self, phase: int, sampling_hertz: float | None) -> None:
        """A call of `fit` begins.

        Args:
            phase: its number in the archive.
            sampling_hertz: how often this process is measured; None: not here.

        Raises:
            ArchiverError: the folder cannot be written.
        """
        place = self.place
        self.folder.mkdir(parents=True, exist_ok=True)
        self._phase, self._began, self.is_training = phase, perf_counter(), True
        self._journal.append(
            "phase_started",
            phase=phase,
            process=this_process().model_dump(),
            index=place.index,
            count=place.count,
            backend=place.backend,
            strategy=place.strategy,
            devices=list(place.devices),
            archiver_version=__version__,
        )
        if sampling_hertz is not None:
            self._recorder = TelemetryRecorder(
                self.folder / "traces",
                part=place.index,
                rate_hertz=sampling_hertz,
                backend_memory=allocator_statistics(),
            )
            self._recorder.start("training")

    def write_system(self) -> None:
        """Describe the machine of this process."""
        path = f"{FOLDER}/{self.place.index}/{SYSTEM_NAME}"
        file = layout.RecordFile(path, "machine", "optional", "training.worker_files", SystemRecord)
        self.run.write(file, collect_system(self.run.path, framework_state()))

    def end_epoch(self, model: Any, epoch: int, seconds: float, metrics: dict[str, float]) -> None:
        """An epoch has ended: note the digest of the weights as this process has them."""
        self._journal.append(
            "epoch_ended",
            phase=self._phase,
            epoch=epoch,
            seconds=seconds,
            metrics=metrics,
            weights_digest=weights_digest(model.weights),
        )

    def end_phase(self, reason: str | None = None, peak_rss_bytes: int | None = None) -> None:
        """Write the last line: `complete`, or failed for a reason."""
        if not self.is_training:
            return
        self.is_training = False
        recorder, self._recorder = self._recorder, None
        if recorder is not None and recorder.stop():
            peak_rss_bytes = recorder.summary().peak_rss_bytes
        self._journal.append(
            "status",
            status="complete" if reason is None else "failed",
            reason=reason,
            phase=self._phase,
            seconds=perf_counter() - self._began,
            peak_rss_bytes=peak_rss_bytes,
        )

    def stop(self) -> None:
        """Write nothing more: the archive is sealed."""
        self.is_training = False
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.stop()
