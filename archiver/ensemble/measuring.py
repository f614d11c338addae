"""The memory that a piece of work takes in a process of its own."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from archiver.records.ensemble import MemoryUse
from archiver.sampling.memory_sources import GpuMemory, ProcessMemory
from archiver.sampling.peaks import PeakMeter, why_inexact

GPU_POLL_SECONDS = 0.05


@dataclass
class Measured:
    """What was measured, once the work is done."""

    seconds: float = 0.0
    _memory: MemoryUse | None = field(default=None)

    @property
    def memory(self) -> MemoryUse:
        """Only after the work."""
        assert self._memory is not None
        return self._memory


@contextmanager
def measured() -> Iterator[Measured]:
    """Measure what is done in the body: resident memory before and after, and its true peak in between."""
    gc.collect()
    process, gpu, result = ProcessMemory(), _GpuPeak(), Measured()
    before = process.rss_bytes()
    meter, began = PeakMeter(), time.perf_counter()
    try:
        yield result
    finally:
        result.seconds = time.perf_counter() - began
        peak, after = meter.take(), process.rss_bytes()
        result._memory = MemoryUse(  # noqa: SLF001 - filled in here alone
            before_bytes=before,
            after_bytes=after,
            peak_bytes=max(peak, before, after),
            is_peak_exact=why_inexact() is None,
            gpu_peak_bytes=gpu.take(),
        )
        process.close()


class _GpuPeak:
    """The largest memory on GPUs, looked at by a thread where there is a GPU."""

    def __init__(self) -> None:
        self._memory, self._peak, self._done = GpuMemory(), 0, threading.Event()
        self._thread: threading.Thread | None = None
        if self._memory.unavailable is None:
            self._thread = threading.Thread(target=self._watch, name="archiver-gpu-memory", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        while True:
            self._peak = max(self._peak, self._memory.used_bytes() or 0)
            if self._done.wait(GPU_POLL_SECONDS):
                return

    def take(self) -> int | None:
        """End the watch."""
        self._done.set()
        if self._thread is None:
            return None
        self._thread.join()
        self._memory.close()
        return self._peak
