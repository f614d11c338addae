"""Work that may be slow and is not needed before the first step: it runs on one thread beside the training."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Task:
    """A function that runs on the background thread, and its outcome."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._done = threading.Event()
        self._outcome: Any = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Run it; an exception is kept for `result`."""
        try:
            self._outcome = self._function()
        except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._error = error
        finally:
            del self._function  # and with it the data it was to look at
            self._done.set()

    def is_done(self) -> bool:
        """Whether `result` returns at once."""
        return self._done.is_set()

    def result(self) -> Any:
        """Wait for the outcome; raises what the function raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._outcome


class Background:
    """One daemon thread that runs tasks in order, begun with the first and ended when there are no more."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0

    def submit(self, function: Callable[[], Any]) -> Task:
        """Run `function` beside the training."""
        task = Task(function)
        with self._lock:
            self._tasks.put(task)
            self._waiting += 1
            if self._waiting == 1:
                threading.Thread(target=self._work, name="archiver-background", daemon=True).start()
        return task

    def _work(self) -> None:
        while True:
            self._tasks.get().run()
            with self._lock:
                self._waiting -= 1
                if self._waiting == 0:
                    return
