"""When a build stops before its end: memory runs out, or somebody asks for it. Nothing is lost either way."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from archiver.data.cache.packing import Stopped
from archiver.records.telemetry import GuardEvent
from archiver.sampling.guard import HARD_FRACTION, MemoryGuard

PATIENCE_SECONDS = 0.5
"""For the work to notice that memory runs out. Then the process ends: the cache is whole at any moment."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Whether work should stop, and why; asked between two pieces of work."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.is_memory = False
        self.on_ask: Callable[[], object] | None = None
        """Called once, when the work is asked to stop, in any thread."""
        self._noticed = threading.Event()

    def ask(self, reason: str, *, is_memory: bool = False) -> None:
        """Have the work stop; the first reason counts."""
        if self.reason is None:
            self.is_memory = is_memory
            self.reason = reason
            if self.on_ask is not None:
                self.on_ask()

    def check(self) -> None:
        """Nothing, or the end of the work.

        Raises:
            Stopped: it should stop.
        """
        if self.reason is not None:
            self._noticed.set()
            raise Stopped(self.reason, is_memory=self.is_memory)

    def noticed_within(self, seconds: float) -> bool:
        """Whether the work noticed."""
        return self._noticed.wait(seconds)


@contextlib.contextmanager
def watched_memory(
    stopping: Stopping, limit_bytes: int | None = None, on_deaf: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Ask the work to stop when memory passes the hard limit.

    Args:
        stopping: is asked.
        limit_bytes: anonymous memory of this process; None: 85 % of what it can get, on the machine or in a container.
        on_deaf: called when the work does not notice, in a library that takes all memory, say, before this process ends
            itself.
    """

    def passed(event: GuardEvent) -> None:
        reason = f"memory: {event.used_bytes / 1e6:,.0f} MB of {event.limit_bytes / 1e6:,.0f} MB ({event.gauge})"
        stopping.ask(reason, is_memory=True)
        if not stopping.noticed_within(PATIENCE_SECONDS):
            if on_deaf is not None:
                on_deaf(reason)
            os._exit(os.EX_TEMPFAIL)

    guard = MemoryGuard(passed, hard_fraction=HARD_FRACTION, hard_limit_bytes=limit_bytes)
    guard.start()
    try:
        yield
    finally:
        stopping._noticed.set()  # noqa: SLF001 - the work has ended, it need not end the process
        guard.stop()


@contextlib.contextmanager
def heard_signals(stopping: Stopping) -> Iterator[None]:
    """SIGINT and SIGTERM stop the work cleanly; the second one ends it at once. In other threads than the main one,
    nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hear(number: int, _frame: FrameType | None) -> None:
        if stopping.reason is not None:
            raise KeyboardInterrupt
        stopping.ask(f"signal {signal.Signals(number).name}")

    before = {each: signal.signal(each, hear) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
