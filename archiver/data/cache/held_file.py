"""A file for libhdf5 in which what is committed stays as it is until the next commit.

New bytes go behind the committed part at once: nobody looks there. Changes within it are held in memory, by pages.
A full disk is kept as `failure` and told by the one who commits: libhdf5 itself cannot be stopped in the middle, and
what it goes on to write is dropped.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

PAGE_BYTES = 4096


class HeldFile(io.RawIOBase):
    """What `h5py.File` takes for a file.

    Args:
        path: the file, which is there.
        committed_bytes: how much of it is committed; what follows is cut off.

    Raises:
        OSError: the file system refused.
    """

    def __init__(self, path: Path, committed_bytes: int) -> None:
        super().__init__()
        self.path, self.committed_bytes = path, committed_bytes
        self.failure: OSError | None = None
        self.held: dict[int, bytearray] = {}
        """Changed pages of the committed part, by number."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        os.ftruncate(self._descriptor, committed_bytes)
        self.size_bytes = committed_bytes
        self._position = 0

    # -- what h5py calls

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Stand elsewhere."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size_bytes}[whence]
        return self._position

    def tell(self) -> int:
        """Where it stands."""
        return self._position

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can stand anywhere."""
        return True

    def writable(self) -> bool:
        """It can be written."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read as it will be after the commit."""
        view = memoryview(buffer).cast("B")
        begin = self._position
        data = os.pread(self._descriptor, len(view), begin)
        view[: len(data)] = data
        for number in self._pages(begin, begin + len(data)):
            if number in self.held:
                _copy(self.held[number], number * PAGE_BYTES, view[: len(data)], begin)
        self._position += len(data)
        return len(data)

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        """Write behind what is committed, or hold it."""
        view = memoryview(data).cast("B")
        begin, end = self._position, self._position + len(view)
        if self.failure is None:
            try:
                split = min(max(self.committed_bytes, begin), end)
                self._hold(view[: split - begin], begin)
                self._write_behind(view[split - begin :], split)
            except OSError as error:
                self.failure = error
        self._position = end
        self.size_bytes = max(self.size_bytes, end)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size; the committed part is cut at the commit."""
        self.size_bytes = self._position if size is None else size
        if self.failure is None:
            try:
                os.ftruncate(self._descriptor, max(self.size_bytes, self.committed_bytes))
            except OSError as error:
                self.failure = error
        return self.size_bytes

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Give the descriptor back; what is not committed is cut off by whoever opens the file next."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

    # -- what a commit needs

    def to_disk(self) -> None:
        """Wait until what is behind the committed part is on the disk.

        Raises:
            OSError: the file system refuses, or refused earlier.
        """
        if self.failure is not None:
            raise self.failure
        os.fdatasync(self._descriptor)

    def forget(self) -> None:
        """Drop what is not committed, and all that libhdf5 still writes."""
        self.failure = self.failure or OSError("the item was given up")
        self.held.clear()

    # -- pages

    def _pages(self, begin: int, end: int) -> range:
        return range(begin // PAGE_BYTES, -(-min(end, self.committed_bytes) // PAGE_BYTES))

    def _hold(self, view: memoryview, begin: int) -> None:
        for number in self._pages(begin, begin + len(view)) if view else ():
            first = number * PAGE_BYTES
            if number not in self.held:
                size = min(PAGE_BYTES, self.committed_bytes - first)
                self.held[number] = bytearray(os.pread(self._descriptor, size, first))
            _copy(view, begin, memoryview(self.held[number]), first)

    def _write_behind(self, view: memoryview, offset: int) -> None:
        while view:
            count = os.pwrite(self._descriptor, view, offset)
            view, offset = view[count:], offset + count


def _copy(source: bytearray | memoryview, source_begin: int, target: memoryview, target_begin: int) -> None:
    """What two pieces of a file have in common."""
    begin = max(source_begin, target_begin)
    end = min(source_begin + len(source), target_begin + len(target))
    if begin < end:
        target[begin - target_begin : end - target_begin] = source[begin - source_begin : end - source_begin]
