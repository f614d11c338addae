"""Work that may be slow and is not needed before the first step: done by daemon threads beside the training."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from archiver.layout import ArchiveFile


class Task:
    """A function that runs beside the training, and its outcome."""

    def __init__(self, find: Callable[[], Any], write: Callable[[Any], None] | None = None) -> None:
        """`write` gets what `find` returned, unless the task was given up by then: a run that is killed later has it,
        and nothing is written into an archive that is sealed."""
        self._find: Callable[[], Any] | None = find
        self._write = write
        self._is_given_up = False
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._outcome: Any = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Find and write; the task keeps what is raised."""
        try:
            if self._find is not None:
                self._outcome = self._find()
            with self._lock:
                if self._write is not None and not self._is_given_up:
                    self._write(self._outcome)
        except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._error = error
        finally:
            self._find = self._write = None  # and with them the data that they looked at
            self._done.set()

    def give_up(self) -> None:
        """Write nothing any more; returns when a writing that has begun is through."""
        with self._lock:
            self._is_given_up = True

    def is_done(self, patience_seconds: float | None) -> bool:
        """Wait for the end of the function, for ever with None; whether it has ended."""
        return self._done.wait(patience_seconds)

    def result(self) -> Any:
        """Wait for the outcome; raises what the function raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._outcome


def start(*tasks: Task) -> None:
    """Run tasks one after the other on one thread: several at once would take turns with the training more often."""

    def run_all() -> None:
        for task in tasks:
            task.run()

    threading.Thread(target=run_all, name="archiver-background", daemon=True).start()


@dataclass(frozen=True)
class Job:
    """A task of a session: the step it belongs to, and what becomes of its outcome."""

    step: str
    file: ArchiveFile
    task: Task
    patience_seconds: float | None = None
    """How long the end of training waits for it; None: as long as it takes."""

    def finish(self) -> None:
        """Wait for the end of the task; raises what it raised."""
        self.task.result()
