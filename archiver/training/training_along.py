"""A process that trains along, and leaves the archive to the chief."""

from __future__ import annotations

import atexit
import dataclasses
import os
import sys
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any

from archiver import layout
from archiver.archive.failures import exception_part
from archiver.archive.run import Run, is_archive
from archiver.errors import ArchiverWarning, RunStateError
from archiver.storage.journal import events_named
from archiver.training.options import Options
from archiver.training.session import is_number
from archiver.training.worker_files import WorkerFiles, next_meeting
from archiver.training.workers import Place

PATIENCE_SECONDS = 60.0
"""How long a process waits for the chief's word; they train in step, so that it is seldom late."""
VISIBLE_SECONDS = 10.0
"""How long it then looks for the chief's folder: network file systems show new files late."""


def options_among_workers(options: Options, place: Place) -> Options:
    """What of the options can be had where several processes train together: one of them must not stop alone, and going
    on with one alone is not training on.

    Raises:
        RunStateError: `resume` was asked for.
    """
    if options.resume:
        raise RunStateError(
            f"Received resume={options.resume!r} in {place.describe()}. A snapshot has the state of one process only: "
            "expected resume=False."
        )
    telemetry = dataclasses.replace(options.telemetry, memory_limit=None)
    return dataclasses.replace(options, telemetry=telemetry, snapshot_every=None)


def require_own_predictions(place: Place) -> None:
    """Refuse to evaluate where one process would wait for the others in vain.

    Raises:
        RunStateError: it would.
    """
    if place.backend != "torch":
        raise RunStateError(
            f"Received test_data in {place.describe()}, where predicting takes all processes. Expected finalize() "
            "without; evaluate the archived model in a process of its own, and say what came out with archive.log(...)."
        )


class TrainingAlong:
    """One process but the chief; nothing that it does raises.

    Args:
        options: of its archive; the same as the chief's.
        place: this process.
    """

    def __init__(self, options: Options, place: Place) -> None:
        self.run: Run | None = None
        """The chief's archive."""
        self._options, self._place = options, place
        self._files: WorkerFiles | None = None
        self._epoch_began = 0.0
        self._process_id = os.getpid()
        own = weakref.ref(self)
        atexit.register(lambda: _end(own()))

    def begin_phase(self) -> None:
        """A call of `fit` begins: learn from the chief where its archive is."""
        number, place = next_meeting(), self._place
        try:
            word = place.get(str(number), PATIENCE_SECONDS)
        except Exception as error:  # noqa: BLE001 - backends have errors of their own
            self._warn(f"the chief did not say where its archive is ({type(error).__name__})")
            return
        run = Run(Path(self._options.root) / word["folder"], word["name"])
        if not _sees(run, word["process"]):
            self._warn(f"it does not see the chief's archive {run.path}: all processes need one root on a shared disk")
            return
        self.run = run
        self._files = self._files if self._files is not None and self._files.run.path == run.path else None
        files = self._files or WorkerFiles(run, place)
        self._files = files
        self._attempt(lambda: files.begin_phase(word["phase"], self._options.telemetry.sampling_hertz))
        self._attempt(files.write_system)

    def begin_epoch(self) -> None:
        """An epoch begins."""
        self._epoch_began = perf_counter()

    def end_epoch(self, model: Any, epoch: int, logs: dict[str, Any]) -> None:
        """An epoch has ended."""
        metrics = {name: float(value) for name, value in logs.items() if is_number(value)}
        seconds, files = perf_counter() - self._epoch_began, self._open()
        if files is not None:
            self._attempt(lambda: files.end_epoch(model, epoch, seconds, metrics))

    def end_training(self, reason: str | None = None) -> None:
        """`fit` is about to return, or ends for a reason."""
        files = self._open()
        if files is not None:
            self._attempt(lambda: files.end_phase(reason))

    def note_exception(self, error: BaseException) -> None:
        """An exception leaves `fit`."""
        part = exception_part(error, on_its_way=True)
        self.end_training(f"{part.type}: {part.message}"[:1000])

    def _open(self) -> WorkerFiles | None:
        """The folder, unless the archive was sealed meanwhile: then this process is too late."""
        files = self._files
        if files is None or not files.is_training or os.getpid() != self._process_id:
            return None
        if files.run.has(layout.MANIFEST_BLAKE3):
            files.stop()
            self._warn("the chief sealed the archive before this process had ended")
            return None
        return files

    def _attempt(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:  # noqa: BLE001 - training never fails because of archiving
            self._warn(f"{type(error).__name__}: {error}")

    def _warn(self, message: str) -> None:
        text = f"archiver: {self._place.describe()} is not archived from here on: {message}"
        try:
            warnings.warn(text, ArchiverWarning, stacklevel=2)
        except ArchiverWarning:
            print(text, file=sys.stderr)  # noqa: T201 - the user made warnings errors, and must still be told


def _sees(run: Run, chief: dict[str, Any]) -> bool:
    """Whether the folder is that of the chief's archive, and no other of the same name on another disk."""
    deadline = monotonic() + VISIBLE_SECONDS
    while not is_archive(run.path):
        if monotonic() > deadline:
            return False
        sleep(0.1)
    begun = [event.details.get("process") for event in run.journal.read().events if "process" in event.details]
    return chief in begun and next(events_named(run.journal.read(), "created"), None) is not None


def _end(worker: TrainingAlong | None) -> None:
    if worker is not None:
        worker.end_training("the process ended before the training did")
