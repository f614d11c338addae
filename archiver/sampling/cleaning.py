"""Giving memory back, and telling how much it really was.

Collecting garbage frees only cycles of objects that nobody refers to; it takes 460 ms in a process with TensorFlow and
often frees nothing. What was freed is returned to the system by `malloc_trim`, where the C library is glibc.
`gc.freeze()` sets all objects of today aside, so that later collections cost almost nothing; a cleanup looks at those
objects too, all the same.
"""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cleanup:
    """What a cleanup did. Freed memory is the difference of two readings, and negative where memory grew meanwhile."""

    before_bytes: int
    """Resident memory of the process."""
    after_bytes: int
    gpu_before_bytes: int | None
    gpu_after_bytes: int | None
    collected_object_count: int
    """Objects in cycles that nobody referred to."""
    duration_seconds: float

    @property
    def cpu_freed_bytes(self) -> int:
        """By how much the resident memory fell."""
        return self.before_bytes - self.after_bytes

    @property
    def gpu_freed_bytes(self) -> int | None:
        """By how much the GPU's memory fell; None: not known."""
        if self.gpu_before_bytes is None or self.gpu_after_bytes is None:
            return None
        return self.gpu_before_bytes - self.gpu_after_bytes


def clean_up(
    cpu_bytes: Callable[[], int],
    gpu_bytes: Callable[[], int | None],
    drop: Callable[[], None] | None = None,
) -> Cleanup:
    """Collect all garbage, return what is free to the system.

    Args:
        cpu_bytes: tells the resident memory.
        gpu_bytes: tells the GPU's memory; None: not known.
        drop: called after the first reading, to let go of what is to be freed.
    """
    begin = time.perf_counter()
    before, gpu_before = cpu_bytes(), gpu_bytes()
    if drop is not None:
        drop()
    if _frozen:
        gc.unfreeze()
    collected = gc.collect()
    if _frozen:
        gc.freeze()
    trim_heap()
    after, gpu_after = cpu_bytes(), gpu_bytes()
    return Cleanup(before, after, gpu_before, gpu_after, collected, time.perf_counter() - begin)


_frozen: list[bool] = []
"""Holds an entry once objects were set aside here, and not by the program itself, whose choice is respected."""


def collect_cheaply(freeze: bool) -> int:
    """Collect garbage, and set aside what is left if nothing is yet: the first call is slow, the others are not.

    Returns the number of objects collected.
    """
    collected = gc.collect()
    if freeze and gc.get_freeze_count() == 0:
        gc.freeze()
        _frozen.append(True)
    return collected


def trim_heap() -> bool:
    """Return free memory of the heap to the system; whether there was any. False where the C library is not glibc."""
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return False
    malloc_trim.argtypes, malloc_trim.restype = [ctypes.c_size_t], ctypes.c_int
    return bool(malloc_trim(0))
