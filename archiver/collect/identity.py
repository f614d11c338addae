"""Which process is it, and is it still there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from archiver.records.journal import ProcessIdentity

CLOCK_TOLERANCE_SECONDS = 2.0


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    return ProcessIdentity(
        host=socket.gethostname(),
        boot_id=_boot_id(),
        process_id=os.getpid(),
        start_time_seconds=_start_time(os.getpid()) or 0.0,
    )


def is_alive(identity: ProcessIdentity) -> bool | None:
    """Whether that very process still runs; None where that cannot be told from here (another machine)."""
    if identity.host != socket.gethostname():
        return None
    if identity.boot_id != _boot_id():
        return False
    started = _start_time(identity.process_id)
    # The clock may be set while the process runs, and psutil derives the start from it.
    return started is not None and abs(started - identity.start_time_seconds) < CLOCK_TOLERANCE_SECONDS


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _start_time(process_id: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(process_id)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None
