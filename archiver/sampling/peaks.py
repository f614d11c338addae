"""The true peak of resident memory between two moments, however short it was.

The kernel keeps the high-water mark of a process (VmHWM). Writing "5" to /proc/self/clear_refs sets it back to what is
resident now, so that the next reading tells the peak since then. There is one mark and there are many who ask (the
sampling thread, an epoch, a phase, a `MemoryMonitor`): whoever reads it passes it on to all meters, then resets it.
Resetting also resets `ru_maxrss`; `lifetime_peak_bytes` still knows the largest value.

Where resetting is not permitted, a mark that has risen tells the peak all the same; one that has not only says that the
peak was no higher, and the largest value seen by a sample stands in.

On Linux 6.2 and later the kernel's counters may lag by some hundred KiB per core.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from typing import NamedTuple

from archiver.sampling.kept import KeptFile, kibibytes

STATUS = "/proc/self/status"
CLEAR_REFS = "/proc/self/clear_refs"


class Resident(NamedTuple):
    """Resident memory of this process."""

    rss_bytes: int
    high_water_bytes: int
    """The largest since the last reset."""


class _HighWater:
    """The one mark of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.meters: weakref.WeakSet[PeakMeter] = weakref.WeakSet()
        self.lifetime_bytes = 0
        self.reset_refused: str | None = None
        """Why the mark cannot be reset; None: it can, or nobody has tried."""
        self._last_mark = 0
        self._status: KeptFile | None = None
        self._clear = -1
        self._owner = os.getpid()

    def read_status(self) -> bytes:
        """The text of /proc/self/status."""
        if self._status is None:
            self._status = KeptFile(STATUS)
        return self._status.read()

    def publish(self, resident: Resident) -> None:
        """Tell all meters, then reset the mark. The lock is held."""
        mark = resident.high_water_bytes
        peak = mark if mark > self._last_mark or self.reset_refused is None else resident.rss_bytes
        self.lifetime_bytes = max(self.lifetime_bytes, mark)
        for meter in self.meters:
            meter.peak_bytes = max(meter.peak_bytes, peak)
        self._last_mark = mark
        self._reset()

    def _reset(self) -> None:
        if self.reset_refused is not None:
            return
        try:
            if self._clear < 0:
                self._clear = os.open(CLEAR_REFS, os.O_WRONLY | os.O_CLOEXEC)
            os.write(self._clear, b"5")
        except OSError as error:
            self.reset_refused = f"the kernel does not let the high-water mark be reset: {error.strerror}"

    def begin_anew(self) -> None:
        """In a forked child: other descriptors, other numbers, and a lock that nobody holds."""
        if self._clear >= 0:
            os.close(self._clear)
        self._clear, self._status = -1, None
        self.lock = threading.Lock()
        self.lifetime_bytes = self._last_mark = 0
        for meter in self.meters:
            meter.peak_bytes = 0


_high_water = _HighWater()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_high_water.begin_anew)


class PeakMeter:
    """Tells the largest resident memory of this process since the last `take`, or since it was made."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        with _high_water.lock:
            _high_water.publish(_resident())
            _high_water.meters.add(self)

    def take(self) -> int:
        """The peak in bytes; the next one counts from here."""
        with _high_water.lock:
            return self._take(_resident())

    def take_from(self, status: bytes, rss_bytes: int) -> int:
        """`take`, with the text of /proc/self/status that was read just now, and the resident memory in it."""
        with _high_water.lock:
            return self._take(Resident(rss_bytes, kibibytes(status, b"VmHWM:") or rss_bytes))

    def _take(self, resident: Resident) -> int:
        _high_water.publish(resident)
        peak, self.peak_bytes = max(self.peak_bytes, resident.rss_bytes), 0
        return peak


def lifetime_peak_bytes() -> int:
    """The largest resident memory of this process that is known, in bytes."""
    with _high_water.lock:
        resident = _resident()
        _high_water.lifetime_bytes = max(_high_water.lifetime_bytes, resident.high_water_bytes)
        return _high_water.lifetime_bytes


def why_inexact() -> str | None:
    """Why peaks between samples may be missed; None: they are not."""
    return _high_water.reset_refused


def _resident() -> Resident:
    try:
        return _parsed(_high_water.read_status())
    except OSError:
        return _portable()


def _parsed(status: bytes) -> Resident:
    rss = kibibytes(status, b"VmRSS:") or 0
    return Resident(rss, kibibytes(status, b"VmHWM:") or rss)


def _portable() -> Resident:
    import psutil

    rss = int(psutil.Process().memory_info().rss)
    try:
        import resource
    except ImportError:
        return Resident(rss, rss)
    unit = 1 if sys.platform == "darwin" else 1024
    return Resident(rss, max(rss, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit))
