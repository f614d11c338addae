"""Files of the kernel that are read again and again, through descriptors that stay open: a read costs 1 to 10 us."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

SMALL_BYTES = 2048
"""The kernel hands out a list in pieces of up to a page; a piece this small is the whole."""


class KeptFile:
    """A file below /proc or /sys. It is opened anew in a forked child, where /proc/self is another process.

    Args:
        path: the file.
        is_list: the kernel writes it entry by entry and a read may end in the middle, as with /proc/diskstats.

    Raises:
        OSError: it cannot be opened.
    """

    __slots__ = ("_descriptor", "_is_list", "_owner", "_size", "path")

    def __init__(self, path: str | Path, is_list: bool = False) -> None:
        self.path = str(path)
        self._is_list = is_list
        self._size = 4096
        self._descriptor = -1
        self._open()

    def _open(self) -> None:
        self._owner = os.getpid()
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> bytes:
        """What the file says now.

        Raises:
            OSError: it is gone, or the device behind it does not answer.
        """
        if self._owner != os.getpid():
            self.close()
            self._open()
        data = os.pread(self._descriptor, self._size, 0)
        if len(data) < SMALL_BYTES:
            return data
        return self._rest(data) if self._is_list else self._whole(data)

    def _rest(self, data: bytes) -> bytes:
        while piece := os.pread(self._descriptor, self._size, len(data)):
            data += piece
        return data

    def _whole(self, data: bytes) -> bytes:
        while len(data) == self._size:
            self._size *= 2
            data = os.pread(self._descriptor, self._size, 0)
        return data

    def close(self) -> None:
        """Give the descriptor back."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def kept(path: str | Path, is_list: bool = False) -> KeptFile | None:
    """The file, or None where it cannot be read."""
    try:
        file = KeptFile(path, is_list)
        file.read()
    except OSError:
        return None
    return file


def kibibytes(data: bytes, key: bytes) -> int | None:
    """The value of a line like `VmRSS:     123 kB`, in bytes; None where there is no such line."""
    start = data.find(key)
    if start < 0:
        return None
    return int(data[start + len(key) : data.index(b" kB", start)]) << 10


def whole_number(file: KeptFile | None) -> int | None:
    """The number that is all the file says; None where it says something else or cannot be read."""
    if file is None:
        return None
    try:
        return int(file.read())
    except (OSError, ValueError):
        return None
