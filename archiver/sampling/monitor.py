"""`archiver.MemoryMonitor`: watches the memory of any Python program, and cleans up when it is too much.

    monitor = archiver.MemoryMonitor(cpu_threshold_mb=2000)
    for chunk in monitor.chunks(paths, size=100):
        convert(chunk)
        monitor.check_and_cleanup(f"after {chunk[-1]}")
    print(monitor.get_memory_summary())

`_mb` means 2**20 bytes. Messages go to the logger `archiver.memory`, and to the standard error stream where logging has
not been set up. Keras is not needed.
"""

from __future__ import annotations

import itertools
import logging
import math
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from archiver.errors import ArgumentError
from archiver.sampling.arguments import checked_flag, checked_function, checked_number, is_number
from archiver.sampling.cleaning import Cleanup, clean_up, collect_cheaply
from archiver.sampling.memory_sources import (
    ContainerMemory,
    GpuMemory,
    ProcessMemory,
    SystemMemoryReader,
    machine_memory_bytes,
)
from archiver.sampling.peaks import PeakMeter
from archiver.sampling.readings import MB, ArrayCleanup, MemoryReading, MemorySummary, described, freed

CPU_THRESHOLD_MB = 2000
GPU_THRESHOLD_MB = 1500
MAXIMAL_READINGS = 10_000

PresetName = Literal["conservative", "standard", "aggressive"]
T = TypeVar("T")

logger = logging.getLogger("archiver.memory")


class Preset(NamedTuple):
    """Arguments of `MemoryMonitor`."""

    cpu_threshold_mb: float
    gpu_threshold_mb: float
    collect_every: int | None


PRESETS: dict[str, Preset] = {
    "conservative": Preset(4000, 3000, None),
    "standard": Preset(CPU_THRESHOLD_MB, GPU_THRESHOLD_MB, 10),
    "aggressive": Preset(1000, 750, 1),
}
"""From the one that steps in least to the one that steps in most."""


class MemoryMonitor:
    """Measures process, machine, container and GPU; over a threshold it warns, and cleans up.

    Args:
        cpu_threshold_mb: resident memory of the process above which it steps in, in 2**20 bytes. The default is lowered
            to 85 % of what a small machine has.
        gpu_threshold_mb: the same for the memory on GPUs.
        auto_cleanup: clean up above a threshold; otherwise only warn.
        collect_every: collect garbage at every n-th check, whatever the memory; 1 is every check, None is never.
        freeze: make these collections cheap by setting aside the objects of the first one (`gc.freeze`).
        cleanup_pause_seconds: the least time between two cleanups: above the threshold for good, each check would
            clean up anew.
        gpu_memory: tells the bytes in use on GPUs, asked instead of NVIDIA's driver.

    Raises:
        ArgumentError: a threshold that is not positive, or more than the machine has; a cadence below 1; something of
            another type.
    """

    def __init__(
        self,
        cpu_threshold_mb: float = CPU_THRESHOLD_MB,
        gpu_threshold_mb: float = GPU_THRESHOLD_MB,
        auto_cleanup: bool = True,
        *,
        collect_every: int | None = None,
        freeze: bool = True,
        cleanup_pause_seconds: float = 0.0,
        gpu_memory: Callable[[], int] | None = None,
    ) -> None:
        self._gpu = GpuMemory(checked_function("gpu_memory", gpu_memory))
        self.cpu_threshold_mb = _checked_threshold(
            "cpu_threshold_mb", cpu_threshold_mb, CPU_THRESHOLD_MB, machine_memory_bytes()
        )
        self.gpu_threshold_mb = _checked_threshold(
            "gpu_threshold_mb", gpu_threshold_mb, GPU_THRESHOLD_MB, self._gpu.total_bytes
        )
        self.auto_cleanup = checked_flag("auto_cleanup", auto_cleanup)
        self._collect_every = _checked_cadence(collect_every)
        self._freeze = checked_flag("freeze", freeze)
        self._pause_seconds = checked_number(
            "cleanup_pause_seconds", cleanup_pause_seconds, least=0, most=math.inf, expected="0 seconds or more"
        )
        self._process, self._system, self._container = ProcessMemory(), SystemMemoryReader(), ContainerMemory()
        self._peak = PeakMeter()
        self._begin = time.monotonic()
        self._lock = threading.RLock()
        self._check_count = 0
        self._next_cleanup = self._begin
        self._forget()

    @classmethod
    def preset(cls, name: PresetName, **changes: Any) -> MemoryMonitor:
        """A monitor with ready-made arguments, see `PRESETS`; thresholds are lowered to 85 % of what there is.

        Raises:
            ArgumentError: there is no preset of that name, or a change is not possible.
        """
        if name not in PRESETS:
            raise ArgumentError(f"Received preset {name!r}. Expected one of {', '.join(map(repr, PRESETS))}.")
        values = PRESETS[name]._asdict()
        most = 0.85 * machine_memory_bytes() / MB
        values["cpu_threshold_mb"] = min(values["cpu_threshold_mb"], most)
        gpu = GpuMemory(changes.get("gpu_memory"))
        if gpu.total_bytes is not None:
            values["gpu_threshold_mb"] = min(values["gpu_threshold_mb"], 0.85 * gpu.total_bytes / MB)
        gpu.close()
        return cls(**(values | changes))

    def _forget(self) -> None:
        self.history: list[MemoryReading] = []
        """The readings. When there are `MAXIMAL_READINGS`, of each two neighbours the one with less memory goes."""
        self.warning_count = self.cleanup_count = 0
        self._reading_count = self._gpu_reading_count = 0
        self._cpu_total = self._cpu_max = self._cpu_peak = self._cpu_freed = 0
        self._gpu_total = self._gpu_max = 0

    @property
    def gpu_unavailable(self) -> str | None:
        """Why the GPU's memory is not known; None: it is."""
        return self._gpu.unavailable

    # -- measuring

    def read(self, context: str = "") -> MemoryReading:
        """Measure now and remember; nothing else happens. About 25 us without a GPU."""
        system = self._system.read()
        reading = MemoryReading(
            context=context,
            elapsed_seconds=time.monotonic() - self._begin,
            process_bytes=self._process.rss_bytes(),
            process_peak_bytes=self._peak.take(),
            system_total_bytes=system.total_bytes,
            system_available_bytes=system.available_bytes,
            container_limit_bytes=self._container.limit_bytes,
            container_used_bytes=self._container.used_bytes(),
            gpu_bytes=self._gpu.used_bytes(),
        )
        with self._lock:
            self._remember(reading)
        return reading

    def _remember(self, reading: MemoryReading) -> None:
        self._reading_count += 1
        self._cpu_total += reading.process_bytes
        self._cpu_max = max(self._cpu_max, reading.process_bytes)
        self._cpu_peak = max(self._cpu_peak, reading.process_peak_bytes, reading.process_bytes)
        if reading.gpu_bytes is not None:
            self._gpu_reading_count += 1
            self._gpu_total += reading.gpu_bytes
            self._gpu_max = max(self._gpu_max, reading.gpu_bytes)
        self.history.append(reading)
        if len(self.history) >= MAXIMAL_READINGS:
            pairs = zip(self.history[::2], self.history[1::2], strict=True)
            self.history = [max(pair, key=lambda each: each.process_bytes) for pair in pairs]

    def log_memory_stats(self, label: str = "") -> MemoryReading:
        """Measure, and log the memory of process, machine, container and GPU."""
        reading = self.read(label)
        _tell(logging.INFO, f"{label or 'memory'}: {described(reading, self._gpu.unavailable)}")
        return reading

    def get_memory_summary(self) -> MemorySummary:
        """Maximum and mean of the readings, and how often the monitor stepped in."""
        with self._lock:
            gpu_count = self._gpu_reading_count
            return MemorySummary(
                cpu_max_mb=self._cpu_max / MB,
                cpu_avg_mb=self._cpu_total / max(1, self._reading_count) / MB,
                cpu_peak_mb=self._cpu_peak / MB,
                gpu_max_mb=self._gpu_max / MB if gpu_count else None,
                gpu_avg_mb=self._gpu_total / gpu_count / MB if gpu_count else None,
                reading_count=self._reading_count,
                warning_count=self.warning_count,
                cleanup_count=self.cleanup_count,
                cpu_freed_mb=self._cpu_freed / MB,
            )

    # -- cleaning up

    def check_and_cleanup(self, context: str = "") -> MemoryReading:
        """Measure; over a threshold warn with the context, clean up, and say what was really freed.

        Returns the reading from before the cleanup, with the cleanup in it.
        """
        self._check_count += 1
        return self._check(context, bool(self._collect_every) and self._check_count % (self._collect_every or 1) == 0)

    def _check(self, context: str, collects: bool) -> MemoryReading:
        reading = self.read(context)
        passed = self._passed(reading)
        cleanup = None
        if passed:
            self.warning_count += 1
            _tell(logging.WARNING, f"{context or 'memory'}: {'; '.join(passed)}")
            if self.auto_cleanup and time.monotonic() >= self._next_cleanup:
                cleanup = self.cleanup(context)
        if collects and cleanup is None:
            collect_cheaply(self._freeze)
        if passed:
            reading = self._replace_last(reading, cleanup)
        return reading

    def _passed(self, reading: MemoryReading) -> list[str]:
        passed = []
        if reading.cpu_mb > self.cpu_threshold_mb:
            passed.append(f"the process has {reading.cpu_mb:.0f} MB, threshold {self.cpu_threshold_mb:.0f} MB")
        if reading.gpu_mb is not None and reading.gpu_mb > self.gpu_threshold_mb:
            passed.append(f"the GPU has {reading.gpu_mb:.0f} MB, threshold {self.gpu_threshold_mb:.0f} MB")
        return passed

    def _replace_last(self, reading: MemoryReading, cleanup: Cleanup | None) -> MemoryReading:
        values = {**reading.__dict__, "is_over_threshold": True, "cleanup": cleanup}
        changed = MemoryReading(**values)
        with self._lock:
            for place in range(len(self.history) - 1, -1, -1):
                if self.history[place] is reading:
                    self.history[place] = changed
                    break
        return changed

    def cleanup(self, context: str = "") -> Cleanup:
        """Collect garbage, return free memory to the system, and log what was really freed."""
        done = clean_up(self._process.rss_bytes, self._gpu.used_bytes)
        self._next_cleanup = time.monotonic() + self._pause_seconds
        with self._lock:
            self.cleanup_count += 1
            self._cpu_freed += done.cpu_freed_bytes
        _tell(logging.WARNING if context else logging.INFO, f"{context or 'memory'}: {freed(done)}")
        return done

    def cleanup_arrays(self, *arrays: Any) -> ArrayCleanup:
        """Drop arrays, clean up, and say what was really freed.

        Only an array that nobody else refers to can be freed: a variable of the caller keeps it alive. So give a list
        or a dict of arrays, which is emptied, or an expression: `monitor.cleanup_arrays(cache.pop("x"))`.
        """
        owners = list(arrays)
        del arrays
        referenced, sizes = _references(owners)
        cleanup = clean_up(self._process.rss_bytes, self._gpu.used_bytes, lambda: _empty(owners))
        with self._lock:
            self.cleanup_count += 1
            self._cpu_freed += cleanup.cpu_freed_bytes
        alive = [size for reference, size in zip(referenced, sizes, strict=True) if reference() is not None]
        report = ArrayCleanup(len(sizes) - len(alive), len(alive), sum(alive), cleanup)
        text = f"{report.freed_count} of {len(sizes)} arrays freed; {freed(cleanup)}"
        if alive:
            text += f"; others refer to {len(alive)} arrays ({sum(alive) / MB:.0f} MB), which no function can free"
        _tell(logging.INFO, text)
        return report

    def chunks(self, items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
        """Pieces of `items` of at most `size`, with garbage collected and a check between them.

        Sequences are sliced (arrays give views), other iterables are gathered in lists. The loop's own variable holds
        the last piece while the next one is made.

        Raises:
            ArgumentError: `size` is not a whole number of at least 1.
        """
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ArgumentError(f"Received size={size!r}. Expected a whole number of at least 1.")
        return self._chunks(items, size)

    def _chunks(self, items: Any, size: int) -> Iterator[Sequence[T]]:
        if hasattr(items, "__len__") and hasattr(items, "__getitem__") and not hasattr(items, "keys"):
            pieces: Iterator[Any] = (items[start : start + size] for start in range(0, len(items), size))
        else:
            iterator = iter(items)
            pieces = iter(lambda: list(itertools.islice(iterator, size)), [])
        for number, piece in enumerate(pieces):
            yield piece
            del piece
            self._check(f"after chunk {number}", collects=True)


def _checked_threshold(argument: str, value: float, default: float, most_bytes: int | None) -> float:
    if not is_number(value) or value <= 0:
        raise ArgumentError(f"Received {argument}={value!r}. Expected a positive number of MB (2**20 bytes).")
    if most_bytes is None or value <= most_bytes / MB:
        return value
    if value == default:
        return 0.85 * most_bytes / MB
    raise ArgumentError(
        f"Received {argument}={value!r}. Expected at most {most_bytes / MB:.0f}: there is no more here."
    )


def _checked_cadence(every: int | None) -> int | None:
    if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
        raise ArgumentError(f"Received collect_every={every!r}. Expected a whole number of at least 1, or None.")
    return every


def _references(arrays: Sequence[Any]) -> tuple[list[weakref.ref[Any]], list[int]]:
    """Weak references to the arrays, and their sizes in bytes."""
    found: list[tuple[weakref.ref[Any], int]] = []
    for each in arrays:
        inner = list(each.values()) if isinstance(each, dict) else list(each) if isinstance(each, list) else [each]
        found += [(_reference(array), int(getattr(array, "nbytes", 0))) for array in inner]
    return [reference for reference, _ in found], [size for _, size in found]


def _empty(owners: list[Any]) -> None:
    for each in owners:
        if isinstance(each, dict | list):
            each.clear()
    owners.clear()


def _reference(array: Any) -> weakref.ref[Any]:
    try:
        return weakref.ref(array)
    except TypeError:
        raise ArgumentError(f"Received {type(array).__name__}. Expected arrays, or lists or dicts of arrays.") from None


def _tell(level: int, message: str) -> None:
    """Log; where logging is not set up, write to the standard error stream, so that nothing goes unsaid."""
    if logger.hasHandlers():
        logger.log(level, message)
    elif not logger.disabled and sys.stderr is not None:
        sys.stderr.write(f"archiver: {message}\n")
