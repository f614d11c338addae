"""What became of a run: the last status event of its journal, and whether the process that wrote it is still there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from archiver.collect.identity import is_alive
from archiver.errors import RunStateError
from archiver.records.journal import ExceptionPart, ProcessIdentity, RunStatus, StopReason
from archiver.storage.journal import JournalContents


@dataclass(frozen=True)
class Status:
    """A run's status, as it can be told now and here."""

    status: RunStatus
    sealed: bool
    stop_reason: StopReason | None = None
    exception: ExceptionPart | None = None
    note: str | None = None
    """What a reader should know, such as that a process on another machine cannot be looked at."""

    def describe(self) -> str:
        """One line for a reader: `complete (epochs), sealed`."""
        reason = self.stop_reason or (self.exception.type if self.exception else None)
        text = f"{self.status} ({reason})" if reason else self.status
        return f"{text}, {'sealed' if self.sealed else 'not sealed'}" + (f"; {self.note}" if self.note else "")


def still_running(path: Path, status: Status, remedy: str | None = None) -> RunStateError:
    """The error that says that a run cannot be had while it is trained, and what to do."""
    reason = status.note or "its process is alive"
    return RunStateError(f"{path}: the training is still running ({reason}); {remedy or 'wait for it, or stop it'}.")


def status_of(contents: JournalContents, *, sealed: bool) -> Status:
    """The status that a journal tells."""
    status: dict[str, Any] = {"status": "running"}
    process: ProcessIdentity | None = None
    for event in contents.events:
        if event.event == "status":
            status = event.details
        elif event.event in ("phase_started", "resumed"):
            status = {"status": "running"}
        if "process" in event.details:
            process = _process(event.details["process"])
    if status.get("status") == "running":
        return _unfinished(process, sealed)
    return Status(
        status=status["status"] if status.get("status") in get_args(RunStatus) else "interrupted",
        sealed=sealed,
        stop_reason=status.get("stop_reason") if status.get("stop_reason") in get_args(StopReason) else None,
        exception=_exception(status.get("exception")),
    )


def _unfinished(process: ProcessIdentity | None, sealed: bool) -> Status:
    alive = is_alive(process) if process else None
    if alive is False:
        return Status(
            "interrupted", sealed, note="its process is gone without a word (killed, or the machine went down)"
        )
    if alive is None:
        where = f"on {process.host}" if process else "unknown"
        return Status("running", sealed, note=f"its process ({where}) cannot be looked at from here")
    return Status("running", sealed)


def _process(value: Any) -> ProcessIdentity | None:
    try:
        return ProcessIdentity.model_validate(value)
    except ValidationError:
        return None


def _exception(value: Any) -> ExceptionPart | None:
    try:
        return ExceptionPart.model_validate(value) if value else None
    except ValidationError:
        return None
