"""The chief's side of a training by several processes: it tells the others where the archive is, waits for them at the
end for a while, and sums up what they wrote."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Protocol

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.workers import EVENTS_NAME, FOLDER, warnings_of
from archiver.closing import read_worker, write_workers
from archiver.collect.identity import is_alive, this_process
from archiver.records.journal import ProcessIdentity
from archiver.records.telemetry import SamplingPart
from archiver.storage import files
from archiver.storage.journal import Journal
from archiver.training.worker_files import WorkerFiles, next_meeting
from archiver.training.workers import Place

PATIENCE_SECONDS = 60.0
"""How long the chief waits for the others once it has trained; they have trained in step with it."""
PATIENCE_AFTER_FAILURE_SECONDS = 5.0
"""How long where its own training failed: the others may wait for it in vain."""
APPEARANCE_SECONDS = 2.0
"""How long it waits for the folder of one that has written nothing: it had a whole training to do so."""


class Host(Protocol):
    """What is needed of a session."""

    run: Run
    phase: int
    telemetry: Any

    def attempt(self, step: str, function: Callable[[], Any], file: layout.ArchiveFile | None = None) -> Any:
        """Run what may fail."""

    def advise(self, key: str, message: str | None) -> None:
        """Warn once per key, and tell the journal."""


class Workers:
    """The processes that train with this one, which is the chief.

    Args:
        host: the session.
        place: this process.
    """

    def __init__(self, host: Host, place: Place) -> None:
        self._host, self._place = host, place
        self._files = WorkerFiles(host.run, place)
        self._failed = False
        self._is_gathered = True

    def begin_phase(self) -> None:
        """The archive is there and open: tell the others."""
        host, run = self._host, self._host.run
        self._failed = self._is_gathered = False
        host.attempt("workers", lambda: self._files.begin_phase(host.phase, None))
        word = {
            "folder": run.path.name,
            "name": run.name,
            "phase": host.phase,
            "process": this_process().model_dump(),
        }
        number = str(next_meeting())
        host.attempt("workers", lambda: self._place.put(number, word))

    def end_epoch(self, model: Any, epoch: int, seconds: float, metrics: dict[str, float]) -> None:
        """An epoch of this process has ended."""
        self._host.attempt("workers", lambda: self._files.end_epoch(model, epoch, seconds, metrics))

    def end_phase(self, reason: str | None = None) -> None:
        """The training of this process has ended; `reason`: why it failed."""
        self._failed = reason is not None
        self._host.attempt("workers", lambda: self._files.end_phase(reason, self._peak()))

    def _peak(self) -> int | None:
        parts = [phase.sampling for phase in self._host.telemetry.phases]
        return max((part.peak_rss_bytes for part in parts if isinstance(part, SamplingPart)), default=None)

    def gather(self) -> None:
        """Wait for the others, and write the record of all."""
        if self._is_gathered:
            return
        self._is_gathered = True
        reasons = self._wait()
        for index in reasons:
            self._detach(index)
        record = write_workers(self._host.run, self._place.count, reasons)
        for message in warnings_of(record):
            self._host.advise(f"workers {message}", f"archiver: {message}")

    def _wait(self) -> dict[int, str]:
        """Why those have not ended that have not."""
        patience = PATIENCE_AFTER_FAILURE_SECONDS if self._failed else PATIENCE_SECONDS
        began, pause = monotonic(), 0.02
        waiting, reasons = set(range(1, self._place.count)), dict[int, str]()
        while waiting:
            for index in sorted(waiting):
                state = self._state(index, monotonic() - began, patience)
                if state is not None:
                    waiting.remove(index)
                if state:
                    reasons[index] = state
            if waiting:
                sleep(pause)
                pause = min(0.5, 1.5 * pause)
        return reasons

    def _state(self, index: int, waited_seconds: float, patience_seconds: float) -> str | None:
        """Empty: it has ended, or was never here; a reason: it will not be waited for; None: wait."""
        contents = read_worker(self._host.run, index)
        if contents is None:
            return "" if waited_seconds > APPEARANCE_SECONDS else None
        last = next((each for each in reversed(contents.events) if each.event in ("phase_started", "status")), None)
        if last is None or last.details.get("phase") != self._host.phase:
            return None if waited_seconds <= APPEARANCE_SECONDS else "it took no part in the last call of fit"
        if last.event == "status":
            return ""
        try:
            is_running = is_alive(ProcessIdentity.model_validate(last.details.get("process")))
        except ValueError:
            is_running = None
        if is_running is False:
            return "its process is gone without a word (killed, or it crashed)"
        if waited_seconds <= patience_seconds:
            return None
        return f"it had not ended {patience_seconds:.0f} seconds after the chief"

    def _detach(self, index: int) -> None:
        """Let a process that may still run write elsewhere than into a sealed archive: put copies in place of its
        files, which it holds open."""
        folder = self._host.run.path / FOLDER / str(index)
        copy = folder.with_name(f"{files.TEMPORARY_PREFIX}{index}")
        shutil.copytree(folder, copy)
        shutil.rmtree(folder)
        copy.rename(folder)
        _cut_torn_line(folder / EVENTS_NAME)


def _cut_torn_line(path: Path) -> None:
    contents = Journal(path.parent, 0, path.name).read()
    if contents.torn_bytes:
        with files.explained("mend", path):
            path.write_bytes(path.read_bytes()[: -contents.torn_bytes])
