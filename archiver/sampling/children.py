"""Sampler of the processes below this one, such as data-loading workers, as one sum.

Finding them means looking through /proc, whose cost grows with everything that runs on the machine. It is done only
when the kernel has given out a new process number since the last time, and so seldom that it takes at most
`MAXIMAL_SHARE` of a core; what is found is then read through kept-open descriptors. A process that lives shorter than
that is not seen.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from archiver.sampling.columns import Cell, Column
from archiver.sampling.kept import KeptFile, kept

MAXIMAL_SHARE = 1e-4
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
GONE = (b"Z", b"X")
"""States of a process that has ended and waits for its parent to ask."""

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class ChildrenReading(NamedTuple):
    """The sum over all descendants of this process."""

    children_count: int
    children_rss_bytes: int
    children_cpu_percent: float | None


COLUMNS: tuple[Column, ...] = (
    Column("children_count", "memory", "processes below this one, at any depth"),
    Column(
        "children_rss_bytes",
        "memory",
        "sum of their resident memory; pages that forked processes share count once for each",
        is_key=True,
    ),
    Column("children_cpu_percent", "utilisation", "their CPU time; 100 is one core"),
)


@dataclass
class _Member:
    """One descendant."""

    file: KeptFile
    cpu_seconds: float = 0.0


@dataclass
class _Family:
    """Who descends from this process, as of the last look."""

    members: dict[int, _Member] = field(default_factory=dict)
    parents: dict[int, int] = field(default_factory=dict)
    """By process number, of everything that runs."""
    newest: bytes = b""
    next_look: float = 0.0


class ChildrenSampler:
    """The descendants of this process; through psutil where there is no /proc."""

    columns: tuple[Column, ...] = COLUMNS

    def __init__(self) -> None:
        self.unavailable: dict[str, str] = {}
        self._newest = kept("/proc/loadavg")
        self._family = _Family()
        self._owner = os.getpid()
        self._then: float | None = None

    def sample(self) -> ChildrenReading:
        """Measure now."""
        now = time.monotonic()
        if self._newest is None:
            return _portable()
        if self._owner != os.getpid():
            self.close()
            self._owner = os.getpid()
        self._look_if_due(now, self._newest)
        return self._sum(now)

    def _look_if_due(self, now: float, newest: KeptFile) -> None:
        family = self._family
        number = newest.read().rsplit(None, 1)[-1]
        if number == family.newest or now < family.next_look:
            return
        family.newest = number
        begin = time.perf_counter()
        _look(family, self._owner)
        family.next_look = now + (time.perf_counter() - begin) / MAXIMAL_SHARE

    def _sum(self, now: float) -> ChildrenReading:
        rss = count = 0
        cpu = 0.0
        members = self._family.members
        for number, member in list(members.items()):
            try:
                fields = _fields(member.file.read())
            except OSError:
                del members[number]
                continue
            if fields[0] in GONE:
                continue
            total = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
            cpu += total - member.cpu_seconds
            member.cpu_seconds = total
            rss += int(fields[21])
            count += 1
        then, self._then = self._then, now
        percent = None if then is None or now <= then else cpu / (now - then) * 100
        return ChildrenReading(count, rss * PAGE_BYTES, percent)

    @staticmethod
    def cells(reading: ChildrenReading) -> tuple[Cell, ...]:
        """The reading as numbers, one for each of `columns`."""
        return reading

    def close(self) -> None:
        """Give the descriptors back."""
        for member in self._family.members.values():
            member.file.close()
        self._family = _Family()


def _fields(stat: bytes) -> list[bytes]:
    """The fields of /proc/<number>/stat from the third on: state, parent, ... (the second may hold blanks)."""
    return stat[stat.rindex(b")") + 2 :].split()


def _look(family: _Family, root: int) -> None:
    running = {int(name) for name in os.listdir("/proc") if name.isdigit()}
    for gone in family.parents.keys() - running:
        del family.parents[gone]
    for number in running - family.parents.keys():
        parent = _parent(number)
        if parent is not None:
            family.parents[number] = parent
    descendants = _descendants(family.parents, root)
    for number in family.members.keys() - descendants:
        family.members.pop(number).file.close()
    for number in descendants - family.members.keys():
        file = kept(f"/proc/{number}/stat")
        if file is not None:
            family.members[number] = _Member(file)


def _parent(number: int) -> int | None:
    try:
        with open(f"/proc/{number}/stat", "rb", buffering=0) as file:
            return int(_fields(file.read(4096))[1])
    except (OSError, ValueError, IndexError):
        return None


def _descendants(parents: dict[int, int], root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for number, parent in parents.items():
        children.setdefault(parent, []).append(number)
    found: set[int] = set()
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), ())
        waiting.extend(number for number in below if number not in found)
        found.update(below)
    return found


def _portable() -> ChildrenReading:
    import psutil

    rss = count = 0
    for child in psutil.Process().children(recursive=True):
        try:
            rss += child.memory_info().rss
        except psutil.Error:
            continue
        count += 1
    return ChildrenReading(count, rss, None)
