"""Limits on memory that the kernel keeps: a control group of version 1 or 2, or a limit of the process itself.

Which of them can be used depends on the machine: making a control group takes root, or a part of the tree that was
handed to this user; `RLIMIT_DATA` always works on Linux.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from archiver.machine.cgroups import MemoryGroup, group_folders

MIB = 1 << 20
_numbers = itertools.count()


@dataclass(frozen=True)
class MemoryLimit:
    """A limit, and how a script gets under it."""

    name: str
    join: str
    """What the script does first."""
    arguments: str
    """What `RunArchiver` is given: a container it sees by itself, the other limit it does not."""
    kills: bool
    """Whether a process that wants more is killed; otherwise it gets no more memory, and raises `MemoryError`."""


JOIN_GROUP = """
with open({procs!r}, "w") as group:
    group.write("0")
"""

LIMIT_DATA = """
import resource

from archiver.sampling.memory_sources import ProcessMemory

model.fit(x, y, verbose=0)  # threads and their stacks are there before memory is counted
with open("/proc/self/status") as status:
    used = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, (used + {size}, used + {size}))
base = ProcessMemory().anonymous_bytes()
"""


def resource_limit(size: int) -> MemoryLimit:
    """`size` more bytes than the script has at its beginning. Memory that is only reserved counts as well."""
    arguments = f"memory_limit=base + {int(0.6 * size)}"
    return MemoryLimit("RLIMIT_DATA", LIMIT_DATA.format(size=size), arguments, kills=False)


@contextlib.contextmanager
def group_limit(size: int) -> Iterator[MemoryLimit | str]:
    """A control group with that many bytes, for the time of the context; else why there is none."""
    reasons = []
    for parent, version in (*_parents(1), *_parents(2)):
        group = MemoryGroup(parent / f"archiver-test-{os.getpid()}-{next(_numbers)}", version)
        try:
            _make(group, size)
        except OSError as error:
            reasons.append(f"{group.folder.parent}: {error.strerror or error}")
            continue
        try:
            join = JOIN_GROUP.format(procs=str(group.folder / "cgroup.procs"))
            yield MemoryLimit(f"control group, version {version}", join, "", kills=True)
        finally:
            _remove(group.folder)
        return
    yield "no control group can be made here: " + ("; ".join(reasons) or "none accounts for memory")


def _parents(version: int) -> Iterator[tuple[Path, int]]:
    """Where a group for memory can stand: below the own one; with version 2 beside it, or higher up."""
    if version == 1:
        yield from ((folder, 1) for folder in itertools.islice(group_folders("memory"), 1))
        return
    for folder in group_folders(""):
        control = folder / "cgroup.subtree_control"
        if control.exists() and "memory" in control.read_text().split():
            yield folder, 2


def _make(group: MemoryGroup, size: int) -> None:
    group.folder.mkdir()
    try:
        group.limit.write_text(str(size))
        without_swap = {1: ("memory.memsw.limit_in_bytes", size), 2: ("memory.swap.max", 0)}
        name, value = without_swap[group.version]
        if (group.folder / name).exists():
            (group.folder / name).write_text(str(value))
        join = JOIN_GROUP.format(procs=str(group.folder / "cgroup.procs"))
        if subprocess.run([sys.executable, "-c", join], capture_output=True, check=False).returncode:
            raise PermissionError(1, "no process may be moved into a group below")
    except OSError:
        _remove(group.folder)
        raise


def _remove(folder: Path) -> None:
    """A group can be removed when the kernel has seen the last process of it go."""
    deadline = time.monotonic() + 20
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
