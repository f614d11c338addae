"""What a `MemoryMonitor` returns, and how it puts that in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from archiver.sampling.cleaning import Cleanup

MB = 1 << 20


@dataclass(frozen=True)
class MemoryReading:
    """The memory at one moment."""

    context: str
    elapsed_seconds: float
    """Since the monitor was made."""
    process_bytes: int
    """Resident memory of the process."""
    process_peak_bytes: int
    """Its largest value since the reading before."""
    system_total_bytes: int
    system_available_bytes: int
    container_limit_bytes: int | None
    """None: no control group sets a limit."""
    container_used_bytes: int | None
    gpu_bytes: int | None
    """None: there is no GPU, or it does not tell; see `MemoryMonitor.gpu_unavailable`."""
    is_over_threshold: bool = False
    cleanup: Cleanup | None = None
    """What was freed, if the reading led to a cleanup. The values above are those before it."""

    @property
    def cpu_mb(self) -> float:
        """Resident memory of the process, in 2**20 bytes."""
        return self.process_bytes / MB

    @property
    def gpu_mb(self) -> float | None:
        """Memory on GPUs, in 2**20 bytes."""
        return None if self.gpu_bytes is None else self.gpu_bytes / MB

    @property
    def system_used_bytes(self) -> int:
        """Memory of the machine that is not available."""
        return self.system_total_bytes - self.system_available_bytes

    @property
    def system_percent(self) -> float:
        """The share of the machine's memory that is not available."""
        return 100 * self.system_used_bytes / self.system_total_bytes


class MemorySummary(TypedDict):
    """What `get_memory_summary` returns. `_mb`: 2**20 bytes; the GPU's values are None where they are not known."""

    cpu_max_mb: float
    cpu_avg_mb: float
    cpu_peak_mb: float
    """The largest value at all, between readings too."""
    gpu_max_mb: float | None
    gpu_avg_mb: float | None
    reading_count: int
    warning_count: int
    cleanup_count: int
    cpu_freed_mb: float
    """Sum over the cleanups."""


class ArrayCleanup(NamedTuple):
    """What became of arrays that were given to `cleanup_arrays`."""

    freed_count: int
    still_referenced_count: int
    """Arrays that somebody else refers to: no function can free those."""
    still_referenced_bytes: int
    cleanup: Cleanup


def described(reading: MemoryReading, gpu_unavailable: str | None) -> str:
    """A reading as one line."""
    text = (
        f"process {reading.cpu_mb:.0f} MB; system {reading.system_used_bytes / MB:.0f} of "
        f"{reading.system_total_bytes / MB:.0f} MB used ({reading.system_percent:.1f} %), "
        f"{reading.system_available_bytes / MB:.0f} MB available"
    )
    if reading.container_limit_bytes is not None:
        used = (reading.container_used_bytes or 0) / MB
        text += f"; container {used:.0f} of {reading.container_limit_bytes / MB:.0f} MB"
    return text + (f"; GPU {reading.gpu_mb:.0f} MB" if reading.gpu_mb is not None else f"; GPU: {gpu_unavailable}")


def freed(cleanup: Cleanup) -> str:
    """What a cleanup freed, as one line."""
    gpu = cleanup.gpu_freed_bytes
    return (
        f"freed {cleanup.cpu_freed_bytes / MB:.1f} MB of CPU memory"
        + (f" and {gpu / MB:.1f} MB of GPU memory" if gpu is not None else "")
        + f" ({cleanup.before_bytes / MB:.0f} to {cleanup.after_bytes / MB:.0f} MB, "
        + f"{cleanup.collected_object_count} objects, {cleanup.duration_seconds * 1000:.0f} ms)"
    )
