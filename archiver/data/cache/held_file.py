"""A file for libhdf5 in which what is committed stays as it is until the next commit.

New bytes go behind the committed part at once: nobody looks there. Changes within it are held in memory, by pages.

Nothing is ever raised into libhdf5, which crashes where a write fails while a file is closed. A full disk is kept as
`failure`, for whoever writes or commits to raise; from there on everything is held in memory, so that libhdf5 finds
what it wrote until it has closed the file.
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
        self.failure: BaseException | None = None
        self.held: dict[int, bytearray] = {}
        """Changed pages of the committed part, by number; after a failure, of all."""
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
        count = max(0, min(len(view), self.size_bytes - begin))
        data = self._stored(begin, count)
        view[:count] = data.ljust(count, b"\0")
        for number in _pages(begin, begin + count):
            if number in self.held:
                _copy(self.held[number], number * PAGE_BYTES, view[:count], begin)
        self._position += count
        return count

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        """Write behind what is committed, or hold it."""
        view = memoryview(data).cast("B")
        begin, end = self._position, self._position + len(view)
        split = min(max(self.committed_bytes, begin), end)
        if self.failure is None:
            try:
                _write_at(self._descriptor, view[split - begin :], split)
            except BaseException as error:  # noqa: BLE001 - libhdf5 does not survive it
                self.failure = error
        self._hold(view if self.failure is not None else view[: split - begin], begin)
        self._position = end
        self.size_bytes = max(self.size_bytes, end)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size; the committed part is cut at the commit."""
        self.size_bytes = self._position if size is None else size
        if self.failure is None:
            try:
                os.ftruncate(self._descriptor, max(self.size_bytes, self.committed_bytes))
            except BaseException as error:  # noqa: BLE001 - libhdf5 does not survive it
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

    def raise_failure(self) -> None:
        """Raise what went wrong, if anything did.

        Raises:
            OSError: the file system refused.
        """
        if self.failure is not None:
            raise self.failure

    def to_disk(self) -> None:
        """Wait until what is behind the committed part is on the disk.

        Raises:
            OSError: the file system refuses, or refused earlier.
        """
        self.raise_failure()
        os.fdatasync(self._descriptor)

    def forget(self) -> None:
        """Nothing more goes to the disk, and nothing can be committed."""
        self.failure = self.failure or OSError("the item was given up")

    # -- pages

    def _hold(self, view: memoryview, begin: int) -> None:
        for number in _pages(begin, begin + len(view)):
            first = number * PAGE_BYTES
            # Behind the committed part, the file itself is right until a failure.
            size = PAGE_BYTES if self.failure is not None else min(PAGE_BYTES, self.committed_bytes - first)
            page = self.held.setdefault(number, bytearray())
            if len(page) < size:
                page += self._stored(first + len(page), size - len(page)).ljust(size - len(page), b"\0")
            _copy(view, begin, memoryview(self.held[number]), first)

    def _stored(self, begin: int, count: int) -> bytes:
        """What the file has there."""
        try:
            return os.pread(self._descriptor, count, begin)
        except BaseException as error:  # noqa: BLE001 - libhdf5 does not survive it
            self.failure = self.failure or error
            return b""

    def committed_pages(self) -> dict[int, bytes]:
        """The pages that a commit changes, by number, each up to the end of what is committed."""
        return {
            number: bytes(page[: self.committed_bytes - number * PAGE_BYTES])
            for number, page in self.held.items()
            if number * PAGE_BYTES < self.committed_bytes
        }


def _pages(begin: int, end: int) -> range:
    return range(begin // PAGE_BYTES, -(-end // PAGE_BYTES)) if begin < end else range(0)


def _write_at(descriptor: int, view: memoryview, offset: int) -> None:
    while view:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count


def _copy(source: bytearray | memoryview, source_begin: int, target: memoryview, target_begin: int) -> None:
    """What two pieces of a file have in common."""
    begin = max(source_begin, target_begin)
    end = min(source_begin + len(source), target_begin + len(target))
    if begin < end:
        target[begin - target_begin : end - target_begin] = source[begin - source_begin : end - source_begin]
