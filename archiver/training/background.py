"""Work that may be slow and is not needed before the first step: tasks on daemon threads beside the training."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from archiver.layout import ArchiveFile
from archiver.progress import DelayedBar


class Task:
    """Something to find out beside the training, and to publish as soon as it is found."""

    def __init__(self, find: Callable[[], Any], publish: Callable[[Any], None] | None = None) -> None:
        """`publish` gets what `find` returned: at once, so that a run that is killed later has it; where the task was
        withheld by then, when its result is asked for."""
        self._find: Callable[[], Any] | None = find
        self._publish = publish
        self._is_withheld = False
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._outcome: Any = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Find and publish; the task keeps what is raised."""
        try:
            if self._find is not None:
                self._outcome = self._find()
            with self._lock:
                if not self._is_withheld:
                    self._publish_once()
        except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._error = error
        finally:
            self._find = None  # and with it the data that it looked at
            self._done.set()

    def _publish_once(self) -> None:
        publish, self._publish = self._publish, None
        if publish is not None:
            publish(self._outcome)

    def withhold(self) -> None:
        """Publish nothing from the thread any more: the archive is about to be sealed. Returns when a publishing that
        has begun is through."""
        with self._lock:
            self._is_withheld = True

    def is_done(self, patience_seconds: float | None) -> bool:
        """Wait for the end of the function, for ever with None; whether it has ended."""
        return self._done.wait(patience_seconds)

    def result(self) -> Any:
        """Wait for the outcome, publish it if that was withheld; raises what finding or publishing raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        self._publish_once()
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
    use: Callable[[Any], None] | None = None
    """Called with the outcome at the end of training, on the thread of the training."""
    patience_seconds: float | None = None
    """How long the end of training waits for it; None: as long as it takes."""

    def finish(self) -> None:
        """Wait for the outcome, with a bar where it takes long, and use it; raises what the task raised."""
        with DelayedBar(self.step):
            outcome = self.task.result()
        if self.use is not None:
            self.use(outcome)
