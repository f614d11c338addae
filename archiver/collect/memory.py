"""Main memory, and how the kernel deals with it."""

from __future__ import annotations

import re
from pathlib import Path

from archiver.collect.attempts import UNTOLD, chosen_in, number_in, text_of
from archiver.machine.cgroups import memory_limit_bytes
from archiver.records.base import Unavailable
from archiver.records.machine import MemoryPart

_OVERCOMMIT = ("heuristic", "always", "never")


def collect_memory(kernel: Path = Path("/")) -> MemoryPart:
    """Main memory as it is now; `kernel` is the folder that holds `proc` and `sys`."""
    import psutil

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    settings = kernel / "proc/sys/vm"
    return MemoryPart(
        total_bytes=memory.total,
        available_bytes=memory.available,
        container_limit_bytes=memory_limit_bytes(),
        swap_total_bytes=swap.total,
        swap_free_bytes=swap.free,
        pressure_percent=_pressure(text_of(kernel / "proc/pressure/memory")),
        transparent_huge_pages=chosen_in(kernel / "sys/kernel/mm/transparent_hugepage/enabled"),
        huge_pages_reserved=number_in(settings / "nr_hugepages"),
        swappiness=number_in(settings / "swappiness"),
        overcommit=_overcommit(number_in(settings / "overcommit_memory")),
    )


def _pressure(text: str) -> float | Unavailable:
    found = re.search(r"^some avg10=([\d.]+)", text)
    return float(found[1]) if found else UNTOLD


def _overcommit(number: int | Unavailable) -> str | Unavailable:
    if isinstance(number, Unavailable):
        return number
    return _OVERCOMMIT[number] if number in range(len(_OVERCOMMIT)) else str(number)
