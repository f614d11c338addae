"""Arrays in memory that is used again: fresh memory costs more, page by page, than reading or scaling windows into it.

An array is a view of an owner that is kept. Whoever has the array, or a view of it, or a tensor made of it without a
copy, holds a reference to the owner; once there is none, its memory goes to the next array.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT_BYTES = 64
"""With which TensorFlow takes an array without copying it."""
MINIMAL_BYTES = 1 << 17
"""Smaller ones malloc has at hand."""
KEPT_BYTES = 48 << 20


def _references(owners: list[NDArray[np.uint8]]) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Each owner, and how many references to it are seen here, its list's and this loop's among them."""
    for owner in owners:
        yield owner, sys.getrefcount(owner)


def _of_nobody() -> int:
    """How many are seen of an owner that nobody uses; Python's versions differ."""
    for _owner, count in _references([np.empty(1, np.uint8)]):
        return count
    raise AssertionError


_OWN_REFERENCES = _of_nobody()


class Buffers:
    """Memory of arrays, kept for the next ones; safe to use from several threads.

    Args:
        kept_bytes: of all memory that is kept.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._owners: list[NDArray[np.uint8]] = []
        self._lock = threading.Lock()

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """An array with any content, one's own as long as one has it; C order.

        Args:
            shape: of the array.
            dtype: of its elements.
        """
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if not MINIMAL_BYTES <= size <= self._kept_bytes:
            return np.empty(shape, dtype)
        with self._lock:
            owner = self._unused(size)
            if owner is None:
                owner = np.empty(size + ALIGNMENT_BYTES, np.uint8)
                self._keep(owner)
        begin = -owner.ctypes.data % ALIGNMENT_BYTES
        return owner[begin : begin + size].view(dtype).reshape(shape)

    def _unused(self, size: int) -> NDArray[np.uint8] | None:
        needed = size + ALIGNMENT_BYTES
        for owner, count in _references(self._owners):
            if needed <= owner.nbytes <= 2 * needed and count == _OWN_REFERENCES:
                return owner
        return None

    def _keep(self, owner: NDArray[np.uint8]) -> None:
        while self._owners and sum(each.nbytes for each in self._owners) + owner.nbytes > self._kept_bytes:
            self._owners.pop(0)  # its memory goes when its last user does
        self._owners.append(owner)


BUFFERS = Buffers()
"""Of this process."""
