"""How much of the user's data is read, and stopping in the middle of it."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from typing import BinaryIO

from archiver.records.base import Unavailable

MAXIMAL_LISTED_FILES = 10_000_000
MAXIMAL_HASHED_FILES = 1_000_000
MAXIMAL_HASHED_BYTES = 50 << 30
MAXIMAL_SECONDS = 3600.0
BLOCK_BYTES = 1 << 20


class CutShortError(Exception):
    """The reading of a source was ended early; the message says why."""


class Limits:
    """What may be read of all sources of a run together. Once `stop` is set, reading ends at the next block."""

    def __init__(
        self,
        stop: threading.Event | None = None,
        *,
        listed_files: int = MAXIMAL_LISTED_FILES,
        hashed_files: int = MAXIMAL_HASHED_FILES,
        hashed_bytes: int = MAXIMAL_HASHED_BYTES,
        seconds: float = MAXIMAL_SECONDS,
    ) -> None:
        self.listed_files = listed_files
        self.hashed_files = hashed_files
        self.hashed_bytes = hashed_bytes
        self.seconds = seconds
        self._stop = stop or threading.Event()
        self._deadline = time.monotonic() + seconds

    def check(self) -> None:
        """Go on or not.

        Raises:
            CutShortError: the training has ended, or the time is up.
        """
        if self._stop.is_set():
            raise CutShortError("the training ended before everything was read")
        if time.monotonic() > self._deadline:
            raise CutShortError(f"not everything could be read in {self.seconds:,.0f} s")

    def count_listed(self, count: int) -> None:
        """Note that `count` files were seen.

        Raises:
            CutShortError: those are too many, or see `check`.
        """
        self.check()
        self.listed_files -= count
        if self.listed_files < 0:
            raise CutShortError("there are more files than are listed")

    def reserve(self, file_count: int, total_bytes: int) -> Unavailable | None:
        """Set aside what is about to be read; the reason, if it is more than may be."""
        if file_count > self.hashed_files:
            return Unavailable(unavailable=f"{file_count:,} files are more than are read ({self.hashed_files:,} left)")
        if total_bytes > self.hashed_bytes:
            return Unavailable(unavailable=f"{total_bytes:,} bytes are more than are read ({self.hashed_bytes:,} left)")
        self.hashed_files -= file_count
        self.hashed_bytes -= total_bytes
        return None


def open_regular(path: bytes) -> BinaryIO:
    """A regular file, open for reading, unbuffered; a FIFO that took its place is not waited for.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "is no regular file any more")
    return os.fdopen(descriptor, "rb", buffering=0)


def sha256_of_rest(file: BinaryIO, limits: Limits) -> str:
    """Lowercase hex SHA-256 of what is left to read of `file`.

    Raises:
        CutShortError: see `Limits.check`.
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(BLOCK_BYTES))
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        digest.update(buffer[:count])
        limits.check()
    return digest.hexdigest()
