"""A progress bar for what takes over a second: on stderr, on a terminal only, gone when it is done."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE_SECONDS = 1.0


class DelayedBar:
    """Shows a bar after a second, with the share that is done where that is known.

    Args:
        what: what is going on, in a word.
        total: how much there is to do, in any unit; None: nobody knows, and the bar only moves.
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what, self._total, self._done = what, total, 0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._bar: Progress | None = None

    def __enter__(self) -> DelayedBar:
        if sys.stderr.isatty():
            self._timer = threading.Timer(PATIENCE_SECONDS, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        with self._lock:
            self._timer = None
            if self._bar is not None:
                self._bar.stop()

    def advance(self, amount: int = 1) -> None:
        """So much more is done. May be called by any thread."""
        with self._lock:
            self._done += amount
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=self._done)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        with self._lock:
            if self._timer is None:
                return
            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            console = Console(stderr=True)
            bar = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
            bar.add_task(self._what, total=self._total, completed=self._done)
            bar.start()
            self._bar = bar
