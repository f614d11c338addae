"""The guard: notices within 20 ms that memory is running out, long before the kernel kills the process.

When it is made, it looks at what this process has and what it could still get: that is its *capacity*, on the machine
or in the container, whichever is less. It acts when the anonymous memory of the process passes a share of the capacity
(85 % if nothing else is said), or when the container or the whole machine have less left than the rest of it. Reading
the process and the container takes a microsecond each; the machine, which takes eight, is read every tenth time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from archiver.errors import ArgumentError
from archiver.records.base import utc_now
from archiver.records.telemetry import GuardEvent, GuardLimits
from archiver.sampling.arguments import checked_function, checked_number
from archiver.sampling.memory_sources import ContainerMemory, ProcessMemory, SystemMemoryReader
from archiver.sampling.thread import SteadyThread

SOFT_FRACTION = 0.70
HARD_FRACTION = 0.85
POLL_SECONDS = 0.02
MINIMAL_POLL_SECONDS = 0.001
SYSTEM_EVERY = 10

OnPassed = Callable[[GuardEvent], None]


@dataclass(frozen=True)
class _Gauge:
    """Something that is read and compared."""

    name: Literal["process", "container", "system"]
    read: Callable[[], int]
    soft_bytes: int
    hard_bytes: int
    confirm: Callable[[], int]
    """A slower reading that decides when the fast one has passed a limit."""


class MemoryGuard:
    """Polls memory on a thread of its own, and calls a function once when a limit is passed.

    Args:
        on_hard: called once, on the guard's thread, when the hard limit is passed; the guard has ended then.
        on_soft: called once when the soft limit is passed.
        hard_fraction: hard limit, as a share of the capacity.
        soft_fraction: soft limit, as a share of the capacity.
        hard_limit_bytes: hard limit in bytes of anonymous memory, instead of the share.
        soft_limit_bytes: soft limit in bytes of anonymous memory, instead of the share.
        poll_seconds: time between two readings.
        process: the folder of the process in /proc that tells the control groups.

    Raises:
        ArgumentError: a limit that is not positive, above the machine's or the container's memory, or out of order.
    """

    def __init__(
        self,
        on_hard: OnPassed,
        on_soft: OnPassed | None = None,
        *,
        hard_fraction: float = HARD_FRACTION,
        soft_fraction: float = SOFT_FRACTION,
        hard_limit_bytes: int | None = None,
        soft_limit_bytes: int | None = None,
        poll_seconds: float = POLL_SECONDS,
        process: Path = Path("/proc/self"),
    ) -> None:
        self.events: list[GuardEvent] = []
        self.callback_failure: str | None = None
        """What a callback raised; the guard goes on."""
        if on_hard is None:
            raise ArgumentError("Received on_hard=None. Expected a function.")
        self._calls: dict[str, OnPassed] = {"hard": checked_function("on_hard", on_hard)}
        if on_soft is not None:
            self._calls["soft"] = checked_function("on_soft", on_soft)
        self._memory, self._system, self._container = ProcessMemory(), SystemMemoryReader(), ContainerMemory(process)
        self.capacity_bytes = self._capacity()
        most = self._most()
        hard = _limit("hard", hard_fraction, hard_limit_bytes, self.capacity_bytes, most)
        if hard_limit_bytes is not None and soft_limit_bytes is None:
            soft = int(hard * SOFT_FRACTION / HARD_FRACTION)
        else:
            soft = _limit("soft", soft_fraction, soft_limit_bytes, self.capacity_bytes, most)
        if soft > hard:
            raise ArgumentError(
                f"Received a soft limit of {soft} bytes. Expected at most the hard limit, {hard} bytes."
            )
        expected = f"{MINIMAL_POLL_SECONDS} to 1 second"
        checked_number("poll_seconds", poll_seconds, least=MINIMAL_POLL_SECONDS, most=1, expected=expected)
        self.limits = GuardLimits(
            capacity_bytes=self.capacity_bytes,
            soft_limit_bytes=soft,
            hard_limit_bytes=hard,
            poll_seconds=float(poll_seconds),
        )
        self._gauges = tuple(self._make_gauges(soft, hard))
        self._thread = SteadyThread(self.poll, poll_seconds, "archiver-guard")
        self._poll_count = 0
        self._begin = time.monotonic()

    def _capacity(self) -> int:
        available = self._system.read().available_bytes
        limit, used = self._container.limit_bytes, self._container.working_set_bytes()
        if limit is not None and used is not None:
            available = min(available, max(0, limit - used))
        return self._memory.anonymous_bytes() + available

    def _most(self) -> int:
        total, limit = self._system.read().total_bytes, self._container.limit_bytes
        return total if limit is None else min(total, limit)

    def _make_gauges(self, soft: int, hard: int) -> list[_Gauge]:
        anonymous = self._memory.anonymous_bytes
        gauges = [_Gauge("process", anonymous, soft, hard, anonymous)]
        headroom = min(self.capacity_bytes - hard, int((1 - HARD_FRACTION) * self.capacity_bytes))
        soft_headroom = max(headroom, min(self.capacity_bytes - soft, int((1 - SOFT_FRACTION) * self.capacity_bytes)))
        limit = self._container.limit_bytes
        if limit is not None and self._container.used_bytes() is not None:
            used, working = self._container_used, self._container_working_set
            gauges.append(_Gauge("container", used, limit - soft_headroom, limit - headroom, working))
        total = self._system.read().total_bytes
        gauges.append(_Gauge("system", self._system_used, total - soft_headroom, total - headroom, self._system_used))
        return gauges

    def _container_used(self) -> int:
        return self._container.used_bytes() or 0

    def _container_working_set(self) -> int:
        return self._container.working_set_bytes() or 0

    def _system_used(self) -> int:
        memory = self._system.read()
        return memory.total_bytes - memory.available_bytes

    # -- lifetime

    @property
    def is_running(self) -> bool:
        """Whether it watches, in this process."""
        return self._thread.is_running

    def start(self) -> None:
        """Begin to watch."""
        self._begin = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        if self._thread.stop():
            for reader in (self._memory, self._system, self._container):
                reader.close()

    # -- watching

    def poll(self) -> None:
        """Look once. The thread calls this."""
        gauges = self._gauges if self._poll_count % SYSTEM_EVERY == 0 else self._gauges[:-1]
        self._poll_count += 1
        for gauge in gauges:
            used = gauge.read()
            if used > gauge.soft_bytes:
                self._look_closer(gauge)

    def _look_closer(self, gauge: _Gauge) -> None:
        used = gauge.confirm()
        if used > gauge.soft_bytes:
            self._pass("soft", gauge, used, gauge.soft_bytes)
        if used > gauge.hard_bytes:
            self._pass("hard", gauge, used, gauge.hard_bytes)

    def _pass(self, level: Literal["soft", "hard"], gauge: _Gauge, used: int, limit: int) -> None:
        if any(event.level == level for event in self.events):
            return
        event = GuardEvent(
            level=level,
            gauge=gauge.name,
            used_bytes=used,
            limit_bytes=max(0, limit),
            utc=utc_now(),
            elapsed_seconds=time.monotonic() - self._begin,
        )
        self.events.append(event)
        try:
            self._calls.get(level, _nothing)(event)
        except Exception as error:  # noqa: BLE001 - whatever the callback does, the watch goes on
            self.callback_failure = f"{type(error).__name__}: {error}"
        if level == "hard":
            self._thread.stop()


def _nothing(event: GuardEvent) -> None:
    """For a level without a callback."""


def _limit(level: str, fraction: float, limit_bytes: int | None, capacity: int, most: int) -> int:
    if limit_bytes is None:
        if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction < 1:
            raise ArgumentError(f"Received {level}_fraction={fraction!r}. Expected a number between 0 and 1.")
        return int(fraction * capacity)
    if isinstance(limit_bytes, bool) or not isinstance(limit_bytes, int) or not 0 < limit_bytes <= most:
        raise ArgumentError(
            f"Received {level}_limit_bytes={limit_bytes!r}. Expected a whole number of bytes up to {most}, all "
            "that the machine or the container has."
        )
    return limit_bytes
