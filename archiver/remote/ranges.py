"""Reading in a store piece by piece: each piece is tried again by itself, and none is larger than was asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from archiver.errors import RemoteError
from archiver.remote.patience import PATIENT, Patience, SpoiledError
from archiver.remote.urls import Remote

SMALLEST_BYTES = 256 << 10
"""Of the first piece that is read of a file: much of what is looked at stands in its first or last bytes."""
LARGEST_BYTES = 8 << 20
"""Of a piece, when a file is read from beginning to end."""


def read_range(remote: Remote, path: str, start: int, end: int, patience: Patience = PATIENT) -> bytes:
    """The bytes from `start` to `end` of a file.

    Raises:
        RemoteError: they cannot be read, or it is no longer there.
    """
    if end <= start:
        return b""

    def read() -> bytes:
        data = bytes(remote.filesystem.cat_file(remote.path_of(path), start=start, end=end))
        if len(data) != end - start:
            raise SpoiledError(f"received {len(data)} bytes, expected {end - start}")
        return data

    try:
        return patience.persist(f"read {remote.url}/{path}", read)
    except FileNotFoundError as error:
        raise RemoteError(f"{remote.url}/{path} is no longer there") from error


def pieces(remote: Remote, path: str, size_bytes: int, patience: Patience = PATIENT) -> Iterator[bytes]:
    """All bytes of a file of that size, as listed, in order."""
    for start in range(0, size_bytes, LARGEST_BYTES):
        yield read_range(remote, path, start, min(start + LARGEST_BYTES, size_bytes), patience)


def open_ranges(remote: Remote, path: str, size_bytes: int, patience: Patience = PATIENT) -> BinaryIO:
    """A file in a store, open for reading, with all that reading a local one can."""
    return cast("BinaryIO", RangeFile(remote, path, size_bytes, patience))


class RangeFile(io.RawIOBase):
    """A file that is fetched as it is read. Reading on makes the pieces larger; a jump makes them small again.

    Args:
        remote: the folder.
        path: below it.
        size_bytes: as listed; nothing is read beyond.
        patience: of each piece.
    """

    def __init__(self, remote: Remote, path: str, size_bytes: int, patience: Patience = PATIENT) -> None:
        self._remote, self._path, self._size, self._patience = remote, path, size_bytes, patience
        self._position = 0
        self._start, self._piece = 0, b""
        self._next_bytes = SMALLEST_BYTES

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, in bytes from the start, the position or the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"the position {base + offset} is before the start")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill what the piece at the position has; 0 at the end."""
        view = memoryview(buffer).cast("B")
        if self._position >= self._size or not len(view):
            return 0
        within = self._position - self._start
        if not 0 <= within < len(self._piece):
            self._fetch()
            within = 0
        count = min(len(view), len(self._piece) - within)
        view[:count] = self._piece[within : within + count]
        self._position += count
        return count

    def _fetch(self) -> None:
        goes_on = self._position == self._start + len(self._piece)
        self._next_bytes = min(LARGEST_BYTES, self._next_bytes * 4) if goes_on and self._piece else SMALLEST_BYTES
        end = min(self._size, self._position + self._next_bytes)
        self._piece = read_range(self._remote, self._path, self._position, end, self._patience)
        self._start = self._position
