"""How much memory is in use and how much there is, asked once: for the memory monitor and the guard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from archiver.machine.cgroups import memory_groups
from archiver.sampling.children import PAGE_BYTES
from archiver.sampling.container import tightest, working_set_bytes
from archiver.sampling.gpus import GpuSampler
from archiver.sampling.kept import KeptFile, kept, kibibytes, whole_number


class ProcessMemory:
    """Resident and anonymous memory of this process, in one or two microseconds."""

    def __init__(self) -> None:
        self._file = kept("/proc/self/statm")

    def rss_bytes(self) -> int:
        """Resident memory."""
        if self._file is None:
            return _portable_rss()
        return int(self._file.read().split(None, 2)[1]) * PAGE_BYTES

    def anonymous_bytes(self) -> int:
        """Resident memory that no file backs: a mapped file raises the resident memory by its size, and can be dropped
        any time. Where there is no /proc, the resident memory."""
        if self._file is None:
            return _portable_rss()
        words = self._file.read().split(None, 3)
        return (int(words[1]) - int(words[2])) * PAGE_BYTES

    def close(self) -> None:
        """Give the descriptor back."""
        if self._file is not None:
            self._file.close()


def _portable_rss() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


class SystemMemory(NamedTuple):
    """The memory of the machine, in bytes."""

    total_bytes: int
    available_bytes: int
    swap_used_bytes: int


class SystemMemoryReader:
    """The memory of the machine, in some microseconds."""

    def __init__(self) -> None:
        self._file = kept("/proc/meminfo")

    def read(self) -> SystemMemory:
        """How it is now."""
        data = self._file.read() if self._file is not None else b""
        total, available = kibibytes(data, b"MemTotal:"), kibibytes(data, b"MemAvailable:")
        if total is not None and available is not None:
            swap = (kibibytes(data, b"SwapTotal:") or 0) - (kibibytes(data, b"SwapFree:") or 0)
            return SystemMemory(total, available, swap)
        import psutil

        memory = psutil.virtual_memory()
        return SystemMemory(memory.total, memory.available, psutil.swap_memory().used)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._file is not None:
            self._file.close()


class ContainerMemory:
    """The control group with the smallest memory limit, as it was when this was made.

    Args:
        process: the folder of the process in /proc.
    """

    def __init__(self, process: Path = Path("/proc/self")) -> None:
        group = tightest(tuple(memory_groups(process)))
        self.limit_bytes = group.limit_bytes() if group is not None else None
        """None: there is no limit, and nothing to read."""
        self._usage: KeptFile | None = None
        self._statistics: KeptFile | None = None
        if group is not None and self.limit_bytes is not None:
            self._usage, self._statistics = kept(group.usage), kept(group.statistics)

    def used_bytes(self) -> int | None:
        """Usage with page cache, in a microsecond."""
        return whole_number(self._usage)

    def working_set_bytes(self) -> int | None:
        """Usage without page cache, which the kernel gives up when memory is short; in ten microseconds."""
        used = self.used_bytes()
        precise = working_set_bytes(used, self._statistics)
        return used if precise is None else precise

    def close(self) -> None:
        """Give the descriptors back."""
        for file in (self._usage, self._statistics):
            if file is not None:
                file.close()


class GpuMemory:
    """The memory this process has on NVIDIA GPUs; all that is in use there, where the driver does not divide it.

    Args:
        ask: asked instead of the driver, such as the backend's allocator; bytes.
    """

    def __init__(self, ask: Callable[[], int] | None = None) -> None:
        self.unavailable: str | None = None
        self.total_bytes: int | None = None
        """Of all devices together; None: not known."""
        self._ask = ask
        self._sampler: GpuSampler | None = None
        if ask is None:
            self._open()

    def _open(self) -> None:
        sampler = GpuSampler()
        if not sampler.indices:
            self.unavailable = sampler.unavailable.get("gpu_...", "the driver knows no GPU")
            sampler.close()
            return
        self.total_bytes = sum(size or 0 for size in sampler.total_bytes) or None
        self._sampler = sampler
        self._ask = sampler.memory_bytes

    def used_bytes(self) -> int | None:
        """Bytes in use; None where that is not known."""
        if self._ask is None:
            return None
        try:
            return int(self._ask())
        except Exception as error:  # noqa: BLE001 - the backend's own errors, of any class
            self.unavailable = f"{type(error).__name__}: {error}"
            return None

    def close(self) -> None:
        """Let the driver go."""
        if self._sampler is not None:
            self._sampler.close()


def machine_memory_bytes() -> int:
    """What this process could have at most: the memory of the machine, or the smallest limit of its container."""
    total = SystemMemoryReader().read().total_bytes
    limit = ContainerMemory().limit_bytes
    return total if limit is None else min(total, limit)
