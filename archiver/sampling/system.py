"""Sampler of the machine: memory, swap, CPU and cores, load, disk and network I/O, free disk space."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from archiver.sampling.columns import Cell, Column, Pace, Rate
from archiver.sampling.kept import KeptFile, kept
from archiver.sampling.memory_sources import SystemMemoryReader

MAXIMAL_CORES = 64
"""Up to this many cores there is a column for each one."""

SECTOR_BYTES = 512
TRAFFIC_SECONDS = 5.0
SPACE_SECONDS = 60.0
IGNORED_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr", "fd")
"""They are no devices, or stand upon other ones that are counted already."""


class SystemReading(NamedTuple):
    """One sample. None: not measured in this one, or not to be had here."""

    system_used_bytes: int
    system_available_bytes: int
    swap_used_bytes: int
    system_cpu_percent: float | None
    busiest_core_percent: float | None
    load_1_minute: float | None
    disk_read_bytes_per_second: float | None
    disk_written_bytes_per_second: float | None
    network_received_bytes_per_second: float | None
    network_sent_bytes_per_second: float | None
    disk_free_bytes: int | None
    core_percents: tuple[float | None, ...]


COLUMNS: tuple[Column, ...] = (
    Column("system_used_bytes", "memory", "memory of the machine that is not available", is_key=True),
    Column("system_available_bytes", "memory", "memory the machine could give without swapping"),
    Column("swap_used_bytes", "memory", "swap space of the machine in use"),
    Column("system_cpu_percent", "utilisation", "mean over the cores of the machine", is_key=True),
    Column("busiest_core_percent", "utilisation", "the core with the least idle time"),
    Column("load_1_minute", "utilisation", "mean number of tasks that run or wait, over a minute"),
    Column("disk_read_bytes_per_second", "utilisation", "all disks of the machine; every few seconds"),
    Column("disk_written_bytes_per_second", "utilisation", "all disks of the machine; every few seconds"),
    Column("network_received_bytes_per_second", "utilisation", "all networks but loopback; every few seconds"),
    Column("network_sent_bytes_per_second", "utilisation", "all networks but loopback; every few seconds"),
    Column("disk_free_bytes", "utilisation", "free space where the traces are written; measured now and then"),
)


class SystemSampler:
    """The machine, through kept-open files of /proc; through psutil where there is no /proc.

    Args:
        folder: whose file system's free space is measured.
    """

    def __init__(self, folder: str | Path = ".") -> None:
        self.unavailable: dict[str, str] = {}
        self._folder = str(folder)
        self._memory = SystemMemoryReader()
        self._stat = kept("/proc/stat")
        self._disks = kept("/proc/diskstats", is_list=True)
        self._network = kept("/proc/net/dev", is_list=True)
        self._disk_names = _disk_names()
        self._interfaces = _interfaces()
        self._traffic, self._space = Pace(TRAFFIC_SECONDS), Pace(SPACE_SECONDS)
        self._rates = tuple(Rate() for _ in range(4))
        self._busy: list[tuple[int, int]] = []
        self._core_count = self._count_cores()
        self._note_what_lacks()
        self.columns = COLUMNS + tuple(
            Column(f"core_{index}_percent", "utilisation", f"core {index}") for index in range(self._core_count)
        )

    def _count_cores(self) -> int:
        count = max(len(_core_times(self._stat.read())) - 1, 0) if self._stat is not None else os.cpu_count() or 0
        if count > MAXIMAL_CORES:
            self.unavailable["core_..._percent"] = f"{count} cores; there are columns for up to {MAXIMAL_CORES}"
            return 0
        return count

    def _note_what_lacks(self) -> None:
        if self._disks is None:
            self.unavailable["disk_..._bytes_per_second"] = "/proc/diskstats cannot be read"
        if self._network is None:
            self.unavailable["network_..._bytes_per_second"] = "/proc/net/dev cannot be read"

    def sample(self) -> SystemReading:
        """Measure now."""
        now = time.monotonic()
        memory = self._memory.read()
        total, cores = self._cpu()
        traffic = self._traffic_now(now) if self._traffic.is_due(now) else [None] * 4
        return SystemReading(
            memory.total_bytes - memory.available_bytes,
            memory.available_bytes,
            memory.swap_used_bytes,
            total,
            max((core for core in cores if core is not None), default=None),
            os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            traffic[0],
            traffic[1],
            traffic[2],
            traffic[3],
            _free_bytes(self._folder) if self._space.is_due(now) else None,
            cores,
        )

    def _cpu(self) -> tuple[float | None, tuple[float | None, ...]]:
        times = _core_times(self._stat.read()) if self._stat is not None else _portable_times()
        before, self._busy = self._busy, times
        if len(before) != len(times):  # a core was switched on or off
            return None, (None,) * self._core_count
        percents = [_percent(then, now) for then, now in zip(before, times, strict=True)]
        return percents[0], tuple(percents[1:])

    def _traffic_now(self, now: float) -> list[float | None]:
        read, written = _disk_bytes(self._disks, self._disk_names)
        received, sent = _network_bytes(self._network, self._interfaces)
        return [
            rate.per_second(value, now)
            for rate, value in zip(self._rates, (read, written, received, sent), strict=True)
        ]

    def cells(self, reading: SystemReading) -> tuple[Cell, ...]:
        """The reading as numbers, one for each of `columns`."""
        cores = reading.core_percents[: self._core_count]
        return (*reading[:-1], *cores, *(None,) * (self._core_count - len(cores)))

    def close(self) -> None:
        """Give the descriptors back."""
        self._memory.close()
        for file in (self._stat, self._disks, self._network):
            if file is not None:
                file.close()


def _core_times(stat: bytes) -> list[tuple[int, int]]:
    """(busy, all) in clock ticks: of the whole machine, then of each core."""
    times = []
    for line in stat[: stat.find(b"intr")].splitlines():
        _, user, nice, system, idle, waiting, *others = line.split()[:9]
        busy = int(user) + int(nice) + int(system) + sum(map(int, others))
        times.append((busy, busy + int(idle) + int(waiting)))
    return times


def _portable_times() -> list[tuple[int, int]]:
    import psutil

    times = []
    for each in (psutil.cpu_times(), *psutil.cpu_times(percpu=True)):
        busy = sum(each) - each.idle
        times.append((int(busy * 100), int(sum(each) * 100)))
    return times


def _percent(then: tuple[int, int], now: tuple[int, int]) -> float | None:
    busy, total = now[0] - then[0], now[1] - then[1]
    return min(100.0, max(0.0, 100 * busy / total)) if total > 0 else None


def _disk_names() -> frozenset[bytes]:
    try:
        names = os.listdir("/sys/block")
    except OSError:
        names = []
    return frozenset(name.encode() for name in names if not name.startswith(IGNORED_DISKS))


def _disk_bytes(file: KeptFile | None, names: frozenset[bytes]) -> tuple[int | None, int | None]:
    if file is None:
        return None, None
    read = written = 0
    for line in file.read().splitlines():
        words = line.split(None, 10)
        if words[2] in names:
            read += int(words[5])
            written += int(words[9])
    return read * SECTOR_BYTES, written * SECTOR_BYTES


def _interfaces() -> frozenset[bytes]:
    """Those with a device; in a container none has one, and all count but loopback."""
    try:
        names = [name for name in os.listdir("/sys/class/net") if name != "lo"]
    except OSError:
        return frozenset()
    with_device = [name for name in names if os.path.exists(f"/sys/class/net/{name}/device")]
    return frozenset(name.encode() for name in with_device or names)


def _network_bytes(file: KeptFile | None, interfaces: frozenset[bytes]) -> tuple[int | None, int | None]:
    if file is None:
        return None, None
    received = sent = 0
    for line in file.read().splitlines()[2:]:
        name, _, rest = line.partition(b":")
        if name.strip() in interfaces:
            words = rest.split(None, 9)
            received += int(words[0])
            sent += int(words[8])
    return received, sent


def _free_bytes(folder: str) -> int | None:
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize
