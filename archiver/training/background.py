"""Work that may be slow and is not needed before the first step: each task on a daemon thread beside the training."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from archiver.layout import ArchiveFile


class Task:
    """A function that runs on a thread of its own, and its outcome."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._done = threading.Event()
        self._outcome: Any = None
        self._error: Exception | None = None
        threading.Thread(target=self._run, name="archiver-background", daemon=True).start()

    def _run(self) -> None:
        try:
            self._outcome = self._function()
        except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._error = error
        finally:
            del self._function  # and with it the data that it looked at
            self._done.set()

    def is_done(self, patience_seconds: float | None) -> bool:
        """Wait for the end of the function, for ever with None; whether it has ended."""
        return self._done.wait(patience_seconds)

    def result(self) -> Any:
        """Wait for the outcome; raises what the function raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._outcome


@dataclass(frozen=True)
class Job:
    """A task of a session: the step it belongs to, and what becomes of its outcome."""

    step: str
    file: ArchiveFile
    task: Task
    use: Callable[[Any], None] | None = None
    """Called with the outcome at the end of training, on the thread of the training."""
    patience_seconds: float | None = None
    """How long the end of training waits for it; None: as long as it takes."""

    def finish(self) -> None:
        """Wait for the outcome and use it; raises what the task raised."""
        outcome = self.task.result()
        if self.use is not None:
            self.use(outcome)
