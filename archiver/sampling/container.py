"""Sampler of the control group whose memory limit counts: the smallest on the way up. psutil knows nothing of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from archiver.machine.cgroups import MemoryGroup, memory_groups
from archiver.sampling.columns import Cell, Column, Pace
from archiver.sampling.kept import KeptFile, kept, whole_number

DETAILS_SECONDS = 5.0
LIMIT_SECONDS = 60.0


class ContainerReading(NamedTuple):
    """One sample. None: not measured in this one, or not to be had here."""

    container_used_bytes: int | None
    container_working_set_bytes: int | None
    container_peak_bytes: int | None
    container_limit_bytes: int | None
    memory_pressure_percent: float | None


COLUMNS: tuple[Column, ...] = (
    Column("container_used_bytes", "memory", "usage of the control group, page cache included", is_key=True),
    Column("container_working_set_bytes", "memory", "usage without the page cache of files; every few seconds"),
    Column("container_peak_bytes", "memory", "largest usage since the control group was made; every few seconds"),
    Column("container_limit_bytes", "memory", "the smallest limit on the way up; empty where there is none"),
    Column("memory_pressure_percent", "memory", "time lost waiting for memory, over 10 seconds; every few seconds"),
)
NOTHING = ContainerReading(None, None, None, None, None)


class ContainerSampler:
    """The control group with the smallest limit; without any limit, the process' own group.

    Args:
        process: the folder of the process in /proc.
    """

    def __init__(self, process: Path = Path("/proc/self")) -> None:
        self.columns = COLUMNS
        self.unavailable: dict[str, str] = {}
        self._details, self._limit_pace = Pace(DETAILS_SECONDS), Pace(LIMIT_SECONDS)
        self._groups: tuple[MemoryGroup, ...] = tuple(memory_groups(process))
        self.limit_bytes: int | None = None
        """The limit that counts, in bytes; None: there is none."""
        self._usage: KeptFile | None = None
        group = tightest(self._groups)
        if group is None:
            self._groups, self.columns = (), ()
            self.unavailable["container_..."] = "no control group accounts for the memory of this process"
            return
        self._follow(group)

    def _follow(self, group: MemoryGroup) -> None:
        self._group = group
        self._usage = kept(group.usage)
        self._peak, self._statistics, self._pressure = (
            kept(path) for path in (group.peak, group.statistics, group.pressure)
        )
        if self._usage is None:
            self.unavailable["container_used_bytes"] = f"the control group has no {group.usage.name}"
        if self._peak is None:
            self.unavailable["container_peak_bytes"] = f"the control group has no {group.peak.name}"
        if self._pressure is None:
            self.unavailable["memory_pressure_percent"] = f"the control group has no {group.pressure.name}"

    def _limit_now(self) -> None:
        group = tightest(self._groups)
        self.limit_bytes = group.limit_bytes() if group is not None else None
        if group is not None and group != self._group:
            self._follow(group)

    def sample(self) -> ContainerReading:
        """Measure now."""
        if not self._groups:
            return NOTHING
        now = time.monotonic()
        if self._limit_pace.is_due(now):
            self._limit_now()
        used = whole_number(self._usage)
        if not self._details.is_due(now):
            return ContainerReading(used, None, None, self.limit_bytes, None)
        return ContainerReading(
            used,
            working_set_bytes(used, self._statistics),
            whole_number(self._peak),
            self.limit_bytes,
            _pressure_percent(self._pressure),
        )

    def cells(self, reading: ContainerReading) -> tuple[Cell, ...]:
        """The reading as numbers, one for each of `columns`."""
        return reading[: len(self.columns)]

    def close(self) -> None:
        """Give the descriptors back."""
        if self._usage is None:
            return
        for file in (self._usage, self._peak, self._statistics, self._pressure):
            if file is not None:
                file.close()


def tightest(groups: tuple[MemoryGroup, ...]) -> MemoryGroup | None:
    """The group with the smallest limit; the process' own one where none has a limit; None without groups."""
    limited = [(limit, group) for group in groups if (limit := group.limit_bytes()) is not None]
    if limited:
        return min(limited, key=lambda pair: pair[0])[1]
    return next((group for group in groups if group.usage.exists()), None)


def working_set_bytes(used: int | None, statistics: KeptFile | None) -> int | None:
    """Usage without the page cache, which the kernel gives up when memory is short."""
    if used is None or statistics is None:
        return None
    try:
        data = b"\n" + statistics.read()
    except OSError:
        return None
    # Version 1 counts the groups below in fields of their own.
    cache = [_statistic(data, b"total_" + name, name) for name in (b"active_file", b"inactive_file")]
    return max(used - sum(cache), 0)


def _statistic(data: bytes, *names: bytes) -> int:
    for name in names:
        start = data.find(b"\n" + name + b" ")
        if start >= 0:
            return int(data[start:].split(None, 2)[1])
    return 0


def _pressure_percent(file: KeptFile | None) -> float | None:
    """`some avg10=0.00 ...`: the share of the last ten seconds in which some task waited."""
    if file is None:
        return None
    try:
        data = file.read()
        start = data.index(b"avg10=") + 6
        return float(data[start : data.index(b" ", start)])
    except (OSError, ValueError):
        return None
