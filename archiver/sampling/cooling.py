"""Cooling breaks: between two batches, wait until processor and GPU have cooled down, but no longer than allowed.

cooler = Cooler(CoolingPolicy(cpu_limit_celsius=85, gpu_limit_celsius=80), thermometer.read)
for batch in batches:
    cooler.break_if_hot()
    train(batch)
print(cooler.summary())
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal

from archiver.records.base import utc_now
from archiver.records.telemetry import (
    CoolingBreak,
    CoolingCause,
    CoolingEnd,
    CoolingSettings,
    CoolingSummary,
    TemperatureTarget,
)
from archiver.sampling.cooling_policy import PARTS, CoolingPolicy, is_above
from archiver.sampling.thermometer import Temperatures

MAXIMAL_BREAKS_KEPT = 1000


class _Watch:
    """What was seen of one part."""

    def __init__(self) -> None:
        self.highest: float | None = None
        self.above_seconds = 0.0
        self.was_above = False

    def see(self, value: float | None, limit: float | None, seconds: float) -> None:
        """Take note of a temperature, `seconds` after the last one."""
        if self.was_above:
            self.above_seconds += seconds
        self.was_above = is_above(value, limit)
        if value is not None:
            self.highest = value if self.highest is None else max(self.highest, value)


class Cooler:
    """Asked between batches; pauses when it is too hot.

    Args:
        policy: when and how long.
        read: tells the temperatures.
        on_break: called after each break.
        stop: ends a break early when it is set.
    """

    def __init__(
        self,
        policy: CoolingPolicy,
        read: Callable[[], Temperatures],
        on_break: Callable[[CoolingBreak], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.policy = policy
        self.breaks: list[CoolingBreak] = []
        """The first `MAXIMAL_BREAKS_KEPT` ones."""
        self._read, self._on_break = read, on_break
        self._stop = stop if stop is not None else threading.Event()
        self._begin = self._last_look = time.monotonic()
        self._next_look = self._begin
        self._work_until = -math.inf
        self._watches: dict[str, _Watch] = {part: _Watch() for part in PARTS}
        self._count = self._cooled_count = 0
        self._total_seconds = self._longest_seconds = 0.0
        self._drop_total = 0.0

    def break_if_hot(self) -> CoolingBreak | None:
        """Pause if it is too hot, until it is cool or the longest pause is over; None: there was no need to.

        Costs a look at the clock, and at the sensors as often as the policy says.
        """
        now = time.monotonic()
        if now < self._next_look:
            return None
        temperatures = self._look(now)
        cause = self.policy.too_hot(temperatures)
        if cause is None or now < self._work_until or self._stop.is_set():
            return None
        return self._pause(now, cause, temperatures)

    def pause_seconds(self) -> float:
        """How long a break would last at most if it began now; 0: it is not too hot. For those who wait themselves."""
        now = time.monotonic()
        is_hot = now >= self._work_until and self.policy.too_hot(self._look(now)) is not None
        return self.policy.maximal_pause_seconds if is_hot else 0.0

    def _look(self, now: float) -> Temperatures:
        temperatures = self._read()
        for part, value in zip(PARTS, temperatures, strict=True):
            self._watches[part].see(value, self.policy.limit(part), now - self._last_look)
        self._last_look = now
        self._next_look = now + self.policy.check_seconds
        return temperatures

    def _pause(self, begin: float, cause: CoolingCause, before: Temperatures) -> CoolingBreak:
        started, after = utc_now(), before
        ended_by: CoolingEnd = "maximal_pause"
        end = begin + self.policy.maximal_pause_seconds
        while (left := end - time.monotonic()) > 0:
            is_stopped = self._stop.wait(min(left, self.policy.check_seconds))
            after = self._look(time.monotonic())
            if is_stopped or self.policy.is_cool(after, cause):
                ended_by = "stopped" if is_stopped else "cool"
                break
        done = CoolingBreak(
            started=started,
            elapsed_seconds=begin - self._begin,
            duration_seconds=time.monotonic() - begin,
            cause=cause,
            ended_by=ended_by,
            cpu_before_celsius=before.cpu,
            cpu_after_celsius=after.cpu,
            gpu_before_celsius=before.gpu,
            gpu_after_celsius=after.gpu,
        )
        self._count_in(done)
        if self._on_break is not None:
            self._on_break(done)
        return done

    def _count_in(self, done: CoolingBreak) -> None:
        self._work_until = time.monotonic() + self.policy.minimal_work_seconds
        if len(self.breaks) < MAXIMAL_BREAKS_KEPT:
            self.breaks.append(done)
        self._count += 1
        self._cooled_count += done.ended_by == "cool"
        self._total_seconds += done.duration_seconds
        self._longest_seconds = max(self._longest_seconds, done.duration_seconds)
        self._drop_total += _drop(done)

    def summary(self) -> CoolingSummary:
        """All breaks so far, and limits against what really happened."""
        seconds = self._last_look - self._begin
        return CoolingSummary(
            break_count=self._count,
            total_seconds=self._total_seconds,
            share_of_time=min(1.0, self._total_seconds / seconds) if seconds > 0 else 0.0,
            longest_seconds=self._longest_seconds,
            cooled_count=self._cooled_count,
            mean_drop_celsius=self._drop_total / self._count if self._count else None,
            drop_celsius_per_minute=self._drop_total / self._total_seconds * 60 if self._total_seconds else None,
            targets=tuple(self._target(part) for part in PARTS),
            settings=CoolingSettings(
                maximal_pause_seconds=self.policy.maximal_pause_seconds,
                minimal_work_seconds=self.policy.minimal_work_seconds,
                check_seconds=self.policy.check_seconds,
            ),
            breaks=tuple(self.breaks),
        )

    def _target(self, part: Literal["cpu", "gpu"]) -> TemperatureTarget:
        limit, watch = self.policy.limit(part), self._watches[part]
        is_known = limit is not None and watch.highest is not None
        return TemperatureTarget(
            part=part,
            limit_celsius=limit,
            resume_celsius=self.policy.resume(part),
            highest_celsius=watch.highest,
            above_limit_seconds=watch.above_seconds,
            is_kept=not is_above(watch.highest, limit) if is_known else None,
        )


def _drop(done: CoolingBreak) -> float:
    """By how much the part that caused the break became cooler; of both, the larger drop."""
    pairs: Sequence[tuple[float | None, float | None]] = (
        (done.cpu_before_celsius, done.cpu_after_celsius) if "cpu" in done.cause else (None, None),
        (done.gpu_before_celsius, done.gpu_after_celsius) if "gpu" in done.cause else (None, None),
    )
    return max((before - after for before, after in pairs if before is not None and after is not None), default=0.0)
