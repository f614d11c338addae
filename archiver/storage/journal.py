"""Reading and appending the journal, one JSON object per line."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archiver.errors import RecordError, StorageError, UnsafeFileError
from archiver.records.base import utc_now
from archiver.records.journal import EventName, JournalEvent
from archiver.storage import files
from archiver.storage.jsonable import jsonable
from archiver.storage.reading import count_values, read_below, whole_lines

JOURNAL_NAME = "journal.jsonl"
MAXIMAL_JOURNAL_BYTES = 256 << 20
MAXIMAL_JOURNAL_VALUES = 10_000_000
"""Commas and brackets: about half a million epochs, and a gigabyte of memory."""
MAXIMAL_FAULTS = 1000
"""After so many broken lines, the rest is not read."""
RESERVE_NAME = f"{files.TEMPORARY_PREFIX}reserve"
RESERVE_BYTES = 64 << 10


@dataclass(frozen=True)
class JournalContents:
    """What a journal says, and where it cannot be read."""

    events: tuple[JournalEvent, ...]
    faults: tuple[tuple[int, str], ...]
    """(line counted from 1, what is wrong)."""
    torn_bytes: int
    """Bytes after the last line feed: a line that was cut short while it was written."""


class Journal:
    """Appends events to `journal.jsonl`. Lines that find the disk full wait and are written when there is room.

    A reserve of 64 KiB is kept on the disk while the run goes on and given up when the disk is full, so that the
    journal can still say so.
    """

    def __init__(self, folder: Path, part: int = 0, name: str = JOURNAL_NAME) -> None:
        self.path = folder / name
        self.part = part
        self._reserve = folder / RESERVE_NAME
        self._waiting: list[bytes] = []
        self._lock = threading.RLock()

    def keep_reserve(self) -> None:
        """Set room aside; failing to is no failure."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                files.write_all(descriptor, bytes(RESERVE_BYTES))
            finally:
                os.close(descriptor)

    def drop_reserve(self) -> None:
        """Give the room back."""
        with contextlib.suppress(OSError):
            os.unlink(self._reserve)

    def append(self, event: EventName, **details: Any) -> None:
        """Append one event; `details` becomes plain JSON.

        Raises:
            StorageError: the file system refused; the line waits and is tried again with the next event.
        """
        line = JournalEvent(
            event=event,
            utc=utc_now(),
            monotonic_seconds=time.monotonic(),
            part=self.part,
            details=jsonable(details),
        )
        with self._lock:
            self._waiting.append(line.model_dump_json().encode() + b"\n")
            self._write_waiting()

    def _write_waiting(self) -> None:
        with self._lock:
            try:
                files.append_bytes(self.path, b"".join(self._waiting))
            except StorageError:
                self.drop_reserve()
                files.append_bytes(self.path, b"".join(self._waiting))
            self._waiting.clear()

    def read(self) -> JournalContents:
        """All events.

        Raises:
            RecordError: there is no journal.
            UnsafeFileError: it is a link or no regular file, larger than `MAXIMAL_JOURNAL_BYTES`, or holds more than
                `MAXIMAL_JOURNAL_VALUES`.
        """
        try:
            data = read_below(self.path.parent, self.path.name, MAXIMAL_JOURNAL_BYTES)
        except OSError as error:
            raise RecordError(f"{self.path}: {error.strerror or error}; expected the journal of a run") from error
        return parse_journal(data)

    def mend(self) -> None:
        """Cut off a torn last line and say so; without this the next event would be glued to it. Write what waits."""
        torn = self.read().torn_bytes
        if torn:
            with files.explained("mend", self.path):
                os.truncate(self.path, self.path.stat().st_size - torn)
            self.append("journal_mended", removed_bytes=torn)
        elif self._waiting:
            self._write_waiting()


def parse_journal(data: bytes) -> JournalContents:
    """The events of a journal's bytes.

    Raises:
        UnsafeFileError: they hold more than `MAXIMAL_JOURNAL_VALUES`.
    """
    # Fewer bytes cannot hold more values.
    count = count_values(data) if len(data) > MAXIMAL_JOURNAL_VALUES else 0
    if count > MAXIMAL_JOURNAL_VALUES:
        raise UnsafeFileError(
            f"{JOURNAL_NAME}: Received about {count} values. Expected at most {MAXIMAL_JOURNAL_VALUES}."
        )
    events: list[JournalEvent] = []
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(whole_lines(data), start=1):
        if len(faults) >= MAXIMAL_FAULTS:
            faults.append((number, "the rest is not read: too many lines are broken"))
            break
        try:
            events.append(JournalEvent.model_validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            faults.append((number, f"/{'/'.join(map(str, first['loc']))}: {first['msg']}"))
    return JournalContents(tuple(events), tuple(faults), len(data) - data.rfind(b"\n") - 1)


def events_named(contents: JournalContents, name: EventName) -> Iterator[JournalEvent]:
    """The events of one name, in order."""
    return (event for event in contents.events if event.event == name)
