"""A thread that calls a function at a steady rate, beside the program and without ever disturbing it."""

from __future__ import annotations

import inspect
import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass

from archiver.sampling.arguments import checked_number

MINIMAL_HERTZ = 1e-3
MAXIMAL_HERTZ = 50.0
PATIENCE_SECONDS = 5.0


def checked_rate(rate_hertz: float) -> float:
    """A sampling rate.

    Raises:
        ArgumentError: it is not between `MINIMAL_HERTZ` and `MAXIMAL_HERTZ`.
    """
    expected = f"{MINIMAL_HERTZ} to {MAXIMAL_HERTZ:.0f} Hz"
    return float(checked_number("rate_hertz", rate_hertz, least=MINIMAL_HERTZ, most=MAXIMAL_HERTZ, expected=expected))


@dataclass
class Pulse:
    """How the thread is doing."""

    tick_count: int = 0
    missed_count: int = 0
    """Ticks that were left out because the one before took too long, or the machine was busy."""
    failure_count: int = 0
    last_failure: str | None = None


class SteadyThread:
    """Calls `tick` at the start and then every `period_seconds`, counted from the start, so that nothing adds up.

    What `tick` raises is noted and the next tick comes all the same. The thread ends with `stop`, when the object that
    `tick` is a method of is gone, and with the process. A forked child has no such thread, and none of its own either.
    """

    def __init__(self, tick: Callable[[], None], period_seconds: float, name: str) -> None:
        self.pulse = Pulse()
        self._tick = _weakly(tick)
        self._period_seconds = period_seconds
        self._name = name
        self._gate = threading.Lock()
        self._thread: threading.Thread | None = None
        self._owner = os.getpid()

    @property
    def is_running(self) -> bool:
        """Whether the thread is there, in this process."""
        return self._thread is not None and self._owner == os.getpid() and self._thread.is_alive()

    def start(self) -> None:
        """Begin; nothing happens where it runs already."""
        if self.is_running:
            return
        self._owner = os.getpid()
        self._gate = threading.Lock()
        self._gate.acquire()
        arguments = (self._gate, self._tick, self._period_seconds, self.pulse)
        self._thread = threading.Thread(target=_run, args=arguments, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """End, and wait for a tick that is under way, for `PATIENCE_SECONDS` at most. Whether the thread is gone."""
        thread, self._thread = self._thread, None
        if thread is None or self._owner != os.getpid():
            return True
        self._gate.release()
        if thread is not threading.current_thread():
            thread.join(PATIENCE_SECONDS)
        return not thread.is_alive()


def _weakly(tick: Callable[[], None]) -> Callable[[], Callable[[], None] | None]:
    if inspect.ismethod(tick):
        return weakref.WeakMethod(tick)
    return lambda: tick


def _run(
    gate: threading.Lock, tick: Callable[[], Callable[[], None] | None], period_seconds: float, pulse: Pulse
) -> None:
    """Ticks until the gate is opened. Waiting at a lock takes a quarter less of the processor than at an Event."""
    begin = time.monotonic()
    number = 0
    while not gate.acquire(timeout=max(0.0, begin + number * period_seconds - time.monotonic())):
        function = tick()
        if function is None:
            return
        pulse.tick_count += 1
        try:
            function()
        except Exception as error:  # noqa: BLE001 - the program beside goes on, whatever happens here
            pulse.failure_count += 1
            pulse.last_failure = f"{type(error).__name__}: {error}"
        del function
        passed = int((time.monotonic() - begin) / period_seconds)
        pulse.missed_count += max(0, passed - number)
        number = max(number, passed) + 1
