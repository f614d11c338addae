"""Failures become records: what could not be done, and why, without secrets."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import PurePath

from archiver.collect.redaction import redact_message
from archiver.errors import StorageError
from archiver.records.journal import ExceptionPart
from archiver.storage.journal import Journal
from archiver.storage.jsonable import qualified_name

MAXIMAL_MESSAGE_LENGTH = 2000
_LIBRARIES = ("keras", "tensorflow", "jax", "torch", "archiver")


def exception_part(error: BaseException, *, on_its_way: bool = False) -> ExceptionPart:
    """An exception as a record: its text is redacted, its place is the innermost line outside Keras and archiver.

    `on_its_way`: it is still leaving the code that calls this, so that the calls around are not in its trace yet.
    """
    name = qualified_name(type(error)).removeprefix("builtins.")
    around = list(traceback.extract_stack()) if on_its_way else []
    return ExceptionPart(
        type=name,
        message=redact_message(_text(error))[:MAXIMAL_MESSAGE_LENGTH],
        location=_location([*around, *traceback.extract_tb(error.__traceback__)]),
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a user's exception may fail to describe itself
        return "(its text cannot be had)"


def _location(frames: list[traceback.FrameSummary]) -> str | None:
    lines = [f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in _own_frames(frames)]
    return lines[-1] if lines else None


def _own_frames(frames: list[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    folders = _library_folders()
    own = [frame for frame in frames if not os.path.abspath(frame.filename).startswith(folders)]
    return own or frames


def _library_folders() -> tuple[str, ...]:
    """Where the imported libraries lie: a user's own folder may bear the same name."""
    found = [folder for name in _LIBRARIES for folder in getattr(sys.modules.get(name), "__path__", ())]
    return tuple(os.path.join(os.path.abspath(folder), "") for folder in found)


def record_failure(journal: Journal, step: str, error: BaseException, file: str | None = None) -> bool:
    """Write a `step_failed` event; `file` is the path in the archive that is missing for it.

    Returns:
        Whether the journal could be written.
    """
    try:
        journal.append("step_failed", step=step, file=file, exception=exception_part(error).model_dump())
    except StorageError:
        return False
    return True
