"""The journal: one event per line, appended as things happen. Its last status event is the run's status."""

from typing import Literal

from pydantic import Field

from archiver.records.base import Count, Json, Part, Real, UtcTime

RunStatus = Literal["running", "complete", "failed", "interrupted"]
"""`complete` has a stop reason, `failed` an exception; `interrupted`: the process is gone without a word."""

StopReason = Literal["epochs", "early_stopping", "nan", "memory_limit", "signal", "user"]
"""Why a complete training ended: all epochs done, EarlyStopping, a loss that is not finite (TerminateOnNaN), memory
that passed its limit, a signal, or somebody set `model.stop_training`."""

EventName = Literal[
    "created",
    "phase_started",
    "parent_found",
    "training_began",
    "resumed",
    "epoch_ended",
    "best_epoch",
    "models_saved",
    "status",
    "evaluated",
    "logged",
    "file_added",
    "memory_alert",
    "cooling_break",
    "step_failed",
    "warning",
    "secrets_found",
    "secrets_allowed",
    "published",
    "journal_mended",
    "environment_locked",
    "repaired",
    "unsealed",
    "sealed",
]


class ProcessIdentity(Part):
    """What tells a process apart from every other one, also after its number was given to another."""

    host: str
    boot_id: str | None
    """The kernel's random id of this boot, where there is one."""
    process_id: Count
    start_time_seconds: Real
    """When the process began, in seconds since 1970 (UTC)."""


class JournalEvent(Part):
    """One line of `journal.jsonl`."""

    event: EventName
    utc: UtcTime
    monotonic_seconds: Real
    """The clock that never jumps, of the process that wrote the line; comparable within one `part` only."""
    part: Count = 0
    """Which process of the run wrote it: 0 for the first, one more for each that continued the run."""
    details: dict[str, Json] = Field(default_factory=dict)


class ExceptionPart(Part):
    """An exception that ended a training."""

    type: str
    """Qualified name of the class."""
    message: str
    """Its text, secrets removed, at most 2,000 characters."""
    location: str | None = None
    """`file:line` of the innermost frame outside Keras."""
