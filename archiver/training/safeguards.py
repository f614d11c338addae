"""What keeps a training from running out of memory and from running too hot, between two batches.

The hook of a step only looks at `Safeguards.act`, which is None as long as there is nothing to do. The guard's thread
sets it when memory passes a limit; with a cooling policy it is set all the time, and looks at the clock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from archiver.records.base import Unavailable
from archiver.records.journal import EventName
from archiver.records.telemetry import CoolingBreak, CoolingSummary, GuardEvent, GuardPart
from archiver.sampling.cleaning import clean_up
from archiver.sampling.cooling import Cooler
from archiver.sampling.guard import HARD_FRACTION, SOFT_FRACTION, MemoryGuard
from archiver.sampling.memory_sources import ProcessMemory
from archiver.sampling.thermometer import Thermometer
from archiver.training.options import TelemetryOptions

T = TypeVar("T")

NOT_ASKED_FOR = Unavailable(unavailable="not asked for")
ADVICE = (
    "Take a smaller batch or a smaller model, feed data from disk instead of arrays, look for a callback that collects "
    "(archiver.MemoryMonitor tells), or raise memory_limit."
)


class Host(Protocol):
    """What is needed of a session."""

    phase: int

    @property
    def model(self) -> Any:
        """The model that is trained."""

    def say(self, event: EventName, **details: Any) -> None:
        """Append to the journal."""

    def warn(self, key: str, message: str) -> None:
        """Warn once per key."""

    def advise(self, key: str, message: str | None) -> None:
        """Warn once per key, and tell the journal."""

    def request_snapshot(self) -> bool:
        """Take a snapshot when the step has ended."""

    def attempt(self, step: str, function: Callable[[], T]) -> T | None:
        """Run what may fail."""

    def note_failure(self, step: str, error: BaseException) -> None:
        """Record that something failed."""


class Safeguards:
    """Watches over one call of `fit` after the other.

    Args:
        options: what the user wants.
        host: the session.
    """

    def __init__(self, options: TelemetryOptions, host: Host) -> None:
        self.act: Callable[[], None] | None = None
        """To be called between two batches."""
        self.has_stopped = False
        """Whether the training was told to stop, in this call of `fit`."""
        self._options, self._host = options, host
        self._guard: MemoryGuard | None = None
        self._thermometer: Thermometer | None = None
        self._cooler: Cooler | None = None
        self._usual: Callable[[], None] | None = None
        """What `act` is while memory suffices."""
        self._waiting: deque[GuardEvent] = deque()
        self._is_hopeless = threading.Event()
        self._acting = threading.Lock()

    # -- lifetime

    def begin(self) -> None:
        """A call of `fit` begins.

        Raises:
            ArchiverError: the limit is more than there is.
        """
        self.has_stopped = False
        self._waiting.clear()
        self._is_hopeless.clear()
        self._begin_cooling()
        self._begin_guard()

    def _begin_guard(self) -> None:
        limit = self._options.memory_limit
        self._guard = None
        if limit is None:
            return
        if isinstance(limit, int):
            guard = MemoryGuard(self._note, self._note, hard_limit_bytes=limit)
        else:
            soft = limit * SOFT_FRACTION / HARD_FRACTION
            guard = MemoryGuard(self._note, self._note, hard_fraction=limit, soft_fraction=soft)
        guard.start()
        self._guard = guard

    def _begin_cooling(self) -> None:
        policy = self._options.cooling
        self._cooler = self.act = self._usual = None
        if policy is None:
            return
        self._thermometer = thermometer = Thermometer()
        missing = [part for part, value in thermometer.read()._asdict().items() if policy.limit(part) and value is None]
        if missing:
            reasons = "; ".join(thermometer.unavailable.values())
            message = f"archiver: no sensor tells the temperature of {' and '.join(missing)}: {reasons}"
            self._host.advise("cooling", message)
        self._cooler = Cooler(policy, thermometer.read, self._tell_of_break, self._is_hopeless)
        self.act = self._usual = self._act

    def stop(self) -> None:
        """The call of `fit` is over; what was seen is still there."""
        if self._guard is not None:
            self._guard.stop()
        self.act = self._usual = None
        thermometer, self._thermometer = self._thermometer, None
        if thermometer is not None:
            thermometer.close()

    # -- what came out

    def guard(self) -> GuardPart | Unavailable:
        """The watch over memory."""
        if self._guard is None:
            return NOT_ASKED_FOR
        return GuardPart(limits=self._guard.limits, events=tuple(self._guard.events))

    def cooling(self) -> CoolingSummary | Unavailable:
        """The cooling breaks."""
        return self._cooler.summary() if self._cooler is not None else NOT_ASKED_FOR

    def limits(self) -> dict[str, float]:
        """What ends or pauses this call of `fit`, as the journal tells it to whoever watches; what is off is left
        out."""
        found: dict[str, float | None] = {}
        if self._guard is not None:
            limits = self._guard.limits
            found |= {"memory_soft_bytes": limits.soft_limit_bytes, "memory_hard_bytes": limits.hard_limit_bytes}
        policy = self._options.cooling
        if policy is not None:
            found |= {f"{part}_celsius": policy.limit(part) for part in ("cpu", "gpu")}
        return {name: value for name, value in found.items() if value is not None}

    # -- between two batches

    def _note(self, event: GuardEvent) -> None:
        """On the guard's thread: the next batch that ends sees to it."""
        self._waiting.append(event)
        self.act = self._act
        if event.level == "hard":
            self._is_hopeless.set()

    def _act(self) -> None:
        if not self._acting.acquire(blocking=False):
            return  # another batch that has ended does it
        try:
            self.act = self._usual  # first: an event that comes now sets it again
            while self._waiting:
                self._host.attempt("memory alert", partial(self._alert, self._waiting.popleft()))
            self._cool()
        finally:
            self._acting.release()

    def _cool(self) -> None:
        if self._cooler is None or self._thermometer is None:
            return
        try:
            self._cooler.break_if_hot()
        except Exception as error:  # noqa: BLE001 - training goes on, without breaks
            self.act = self._usual = None
            self._host.note_failure("cooling", error)

    def _tell_of_break(self, done: CoolingBreak) -> None:
        self._host.say("cooling_break", phase=self._host.phase, **done.model_dump(mode="json"))

    def _alert(self, event: GuardEvent) -> None:
        host = self._host
        details = event.model_dump(mode="json")
        what = f"memory of the {event.gauge} is {_mebibytes(event.used_bytes)}, above its {event.level} limit of "
        what = f"archiver: {what}{_mebibytes(event.limit_bytes)}; "
        if event.level == "hard":
            self.has_stopped = True
            host.request_snapshot()
            host.model.stop_training = True
            what += f"training ends after this step, and is archived. {ADVICE}"
        else:
            cleanup = clean_up(ProcessMemory().rss_bytes, lambda: None)
            details |= {"freed_bytes": cleanup.cpu_freed_bytes, "cleanup_seconds": cleanup.duration_seconds}
            what += f"collecting garbage freed {_mebibytes(cleanup.cpu_freed_bytes)}."
        host.say("memory_alert", phase=host.phase, **details)
        host.warn(f"memory {event.level} {host.phase}", what)
        tell = self._options.on_alert
        if tell is not None:
            host.attempt("on_alert", lambda: tell(event))


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):,.0f} MiB"
