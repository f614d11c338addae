"""The process that trains: its command, its parents, its place among the others, its limits."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

from archiver.collect.attempts import UNTOLD, attempt, number_in, text_of
from archiver.collect.command import collect_command, recordable, working_directory
from archiver.machine.cgroups import collect_control_group
from archiver.records.base import Unavailable
from archiver.records.environment import LimitPart, ProcessPart

_SELF = Path("/proc/self")

_LIMITS = {
    "address_space": "RLIMIT_AS",
    "core_file": "RLIMIT_CORE",
    "cpu_seconds": "RLIMIT_CPU",
    "data": "RLIMIT_DATA",
    "file_size": "RLIMIT_FSIZE",
    "locked_memory": "RLIMIT_MEMLOCK",
    "open_files": "RLIMIT_NOFILE",
    "processes": "RLIMIT_NPROC",
    "resident_set": "RLIMIT_RSS",
    "stack": "RLIMIT_STACK",
}

_SCHEDULERS = {0: "other", 1: "fifo", 2: "round robin", 3: "batch", 5: "idle", 6: "deadline"}


def collect_process() -> ProcessPart:
    """This process."""
    status = text_of(_SELF / "status")
    return ProcessPart(
        command=collect_command(),
        executable=attempt(lambda: recordable(os.readlink(_SELF / "exe"))),
        working_directory=working_directory(),
        process_id=os.getpid(),
        started=attempt(_started),
        parents=attempt(_parents),
        rss_bytes=_rss_bytes(status),
        thread_count=_number(status, "Threads"),
        open_file_count=attempt(lambda: len(os.listdir(_SELF / "fd")) - 1),  # listing opens one itself
        nice=attempt(lambda: os.getpriority(os.PRIO_PROCESS, 0)),
        scheduler=attempt(_scheduler),
        oom_score=number_in(_SELF / "oom_score"),
        oom_score_adjustment=number_in(_SELF / "oom_score_adj"),
        umask=_field(status, "Umask"),
        limits=_limits(),
        control_group=collect_control_group(),
    )


def _field(status: str, name: str) -> str | Unavailable:
    found = re.search(rf"^{name}:\s*(\S+)", status, re.MULTILINE)
    return found[1] if found else UNTOLD


def _number(status: str, name: str) -> int | Unavailable:
    text = _field(status, name)
    return text if isinstance(text, Unavailable) else int(text)


def _rss_bytes(status: str) -> int | Unavailable:
    kibibytes = _number(status, "VmRSS")
    return kibibytes if isinstance(kibibytes, Unavailable) else kibibytes * 1024


def _scheduler() -> str:
    policy = os.sched_getscheduler(0) & ~getattr(os, "SCHED_RESET_ON_FORK", 0)
    return _SCHEDULERS.get(policy, str(policy))


def _started() -> datetime:
    import psutil

    return datetime.fromtimestamp(psutil.Process().create_time(), UTC)


def _parents() -> tuple[str, ...]:
    import psutil

    return tuple(recordable(parent.name()) for parent in psutil.Process().parents())


def _limits() -> dict[str, LimitPart]:
    try:
        import resource
    except ImportError:
        return {}
    limits = {}
    for name, constant in _LIMITS.items():
        if hasattr(resource, constant):
            soft, hard = resource.getrlimit(getattr(resource, constant))
            unlimited = resource.RLIM_INFINITY
            limits[name] = LimitPart(soft=None if soft == unlimited else soft, hard=None if hard == unlimited else hard)
    return limits
