"""How many processor cores this process has."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Logical cores this process may run on, which `taskset` and containers make fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
