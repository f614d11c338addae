"""What the control group, that is the container or the batch job, allows this process: version 1 and version 2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from archiver.records.base import Unavailable
from archiver.records.machine import ControlGroupPart

NO_LIMIT_BYTES = 1 << 60
"""Version 1 writes "no limit" as the largest number of whole pages."""


@dataclass(frozen=True)
class MemoryGroup:
    """One control group above a process that accounts for memory, and the names of its files."""

    folder: Path
    version: Literal[1, 2]

    @property
    def limit(self) -> Path:
        """The file with the limit in bytes, or with a word for "no limit"."""
        return self.folder / ("memory.max" if self.version == 2 else "memory.limit_in_bytes")  # noqa: PLR2004

    @property
    def usage(self) -> Path:
        """The file with the bytes in use, page cache included."""
        return self.folder / ("memory.current" if self.version == 2 else "memory.usage_in_bytes")  # noqa: PLR2004

    @property
    def peak(self) -> Path:
        """The file with the largest usage since the group was made."""
        return self.folder / ("memory.peak" if self.version == 2 else "memory.max_usage_in_bytes")  # noqa: PLR2004

    @property
    def statistics(self) -> Path:
        """The file that divides the usage into kinds."""
        return self.folder / "memory.stat"

    @property
    def pressure(self) -> Path:
        """The file with the share of time that was lost waiting for memory; version 2 only."""
        return self.folder / "memory.pressure"

    def limit_bytes(self) -> int | None:
        """The limit of this group alone, in bytes; None: no limit."""
        limit = _number(self.limit)
        return limit if limit is not None and limit < NO_LIMIT_BYTES else None


def memory_groups(process: Path = Path("/proc/self")) -> Iterator[MemoryGroup]:
    """The groups whose memory limits count for a process, from its own up to the one visible at the top."""
    yield from (MemoryGroup(folder, 2) for folder in group_folders("", process))
    yield from (MemoryGroup(folder, 1) for folder in group_folders("memory", process))


def memory_limit_bytes(process: Path = Path("/proc/self")) -> int | None:
    """The smallest memory limit along the hierarchy, in bytes; None: no limit, or no control groups here."""
    limits = (group.limit_bytes() for group in memory_groups(process))
    return min((limit for limit in limits if limit is not None), default=None)


def core_limit(process: Path = Path("/proc/self")) -> float | None:
    """The smallest CPU quota along the hierarchy, in cores; None: no limit, or no control groups here."""
    quotas = [_quota(_words(folder / "cpu.max")) for folder in group_folders("", process)]
    quotas += [
        _quota(_words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us"))
        for folder in group_folders("cpu", process)
    ]
    return min((quota for quota in quotas if quota is not None), default=None)


def collect_control_group(process: Path = Path("/proc/self")) -> ControlGroupPart | Unavailable:
    """What the control group says beyond the limits of memory and cores.

    A machine may use both versions at once, each for some controllers: that of memory is told.
    """
    unified, memory = list(group_folders("", process)), list(group_folders("memory", process))
    if not unified and not memory:
        return Unavailable(unavailable="the system has no control groups")
    untold = Unavailable(unavailable="the control group does not tell")
    used = _first(memory, "memory.usage_in_bytes") if memory else _first(unified, "memory.current")
    kills = re.search(r"^oom_kill (\d+)", "\n".join(_first_lines((memory or unified)[:1], _EVENTS)), re.MULTILINE)
    cores = _first_lines([*group_folders("cpuset", process)][:1] or unified[:1], _CORE_LISTS)
    return ControlGroupPart(
        version=1 if memory else 2,
        memory_used_bytes=untold if used is None else used,
        memory_throttle_bytes=_smallest(unified, "memory.high"),
        swap_limit_bytes=_smallest(memory, "memory.memsw.limit_in_bytes")
        if memory
        else _smallest(unified, "memory.swap.max"),
        process_limit=_smallest([*group_folders("pids", process), *unified], "pids.max"),
        cores=cores[0].strip() if cores else untold,
        killed_for_memory=int(kills[1]) if kills else untold,
    )


_EVENTS = ("memory.events", "memory.oom_control")
_CORE_LISTS = ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus")


def _first_lines(folders: list[Path], names: tuple[str, ...]) -> list[str]:
    """The lines of the first of these files that has any."""
    return next((lines for folder in folders for name in names if (lines := _lines(folder / name))), [])


def _smallest(folders: list[Path], name: str) -> int | None:
    numbers = [_number(folder / name) for folder in folders]
    return min((number for number in numbers if number is not None and number < NO_LIMIT_BYTES), default=None)


def _first(folders: list[Path], name: str) -> int | None:
    return next((number for folder in folders if (number := _number(folder / name)) is not None), None)


def group_folders(controller: str, process: Path = Path("/proc/self")) -> Iterator[Path]:
    """The folders of a process' control group, from its own up to the one that is visible at the top.

    `controller` is one of version 1 (`memory`, `cpu`), or empty for the hierarchy of version 2.
    """
    group = _group(controller, process)
    for mount_root, mount_point in _mounts(controller, process):
        if group is None:
            return
        # Without a namespace of its own a container sees the path on the host, of which only the end is mounted.
        inside = group == mount_root or group.startswith(mount_root.rstrip("/") + "/")
        relative = group[len(mount_root.rstrip("/")) :] if inside else group
        folder = Path(mount_point, relative.lstrip("/"))
        yield from (each for each in (folder, *folder.parents) if each.is_relative_to(mount_point) and each.is_dir())


def _group(controller: str, process: Path) -> str | None:
    for line in _lines(process / "cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(",") and (controller or not controllers):
            return path
    return None


def _mounts(controller: str, process: Path) -> Iterator[tuple[str, str]]:
    for line in _lines(process / "mountinfo"):
        before, _, after = line.partition(" - ")
        system, _, options = [*after.split(" ", 2), "", ""][:3]
        is_wanted = system == "cgroup2" if not controller else system == "cgroup" and controller in options.split(",")
        if is_wanted:
            fields = before.split(" ")
            yield fields[3], fields[4]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if words and words[0].isdigit() else None


def _quota(words: list[str]) -> float | None:
    if len(words) != 2 or not all(word.isdigit() for word in words) or words[1] == "0":  # noqa: PLR2004 - quota, period
        return None
    return int(words[0]) / int(words[1])
