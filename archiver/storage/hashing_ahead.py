"""Hashing a folder's large files beside a program that is still being imported, by processes that import nothing more.

The classes of the records take a third of a second to be made, on one core, as long as a gigabyte takes to be hashed
on another. Threads would wait for each other: importing holds the interpreter.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from archiver.cores import usable_cores
from archiver.errors import ArchiverError
from archiver.storage.beneath import Entry, opened_folder, walk
from archiver.storage.digests import mapped_digests
from archiver.storage.reading import open_below, require_stored

MINIMAL_BYTES = 8 << 20
"""Smaller files are left to those who ask: handing one over takes longer than they do."""
MAXIMAL_FILES = 4096
"""More do not fit the pipe from which they are taken."""
MAXIMAL_PROCESSES = 32
PROCESSES_PER_CORE = 4
"""More than one, so that the cores end together, though a file is hashed by one process: they share the cores."""
NICENESS = 5
"""By how much importing goes before hashing: what has to be done after it is not done by several."""

Digests = dict[str, str]
_PLACE = struct.Struct("<I")


class HashingAhead:
    """Digests of the large files below a folder: other processes take one after the other, the largest first.

    Nothing of what goes wrong is told: who needs the digests of a file that is not here reads it again, and finds it
    then. Where no large file is, or other threads run, nothing is hashed ahead. With one core it is of use, too: files
    are mapped, which saves a copy and is only done by processes that may be lost.

    Args:
        root: the folder; may be none.
        algorithms: names of `storage.digests.ALGORITHMS`.
    """

    def __init__(self, root: Path, algorithms: Sequence[str]) -> None:
        self._root, self._algorithms = root, tuple(algorithms)
        self._files: list[Entry] = []
        self._processes: list[int] = []
        self._mine: set[str] = set()
        # Forking is what makes it quick; it is left alone where that is not sure to end well.
        if threading.active_count() > 1 or not hasattr(os, "sched_getaffinity"):
            return
        with contextlib.suppress(OSError, ArchiverError):
            self._files = _large_files(root)
        if self._files:
            self._start(min(PROCESSES_PER_CORE * usable_cores(), len(self._files), MAXIMAL_PROCESSES))

    @property
    def paths(self) -> frozenset[str]:
        """Files that are handed over."""
        return frozenset(file.path for file in self._files) if self._processes else frozenset()

    def take(self) -> str | None:
        """The next file that nobody has begun, for the caller to hash; None: there is none left."""
        if not self._processes:
            return None
        place = self._next()
        if place is None:
            return None
        path = self._files[place].path
        self._mine.add(path)
        return path

    def digests(self, wanted: Collection[str], sizes: dict[str, int]) -> Iterator[tuple[str, Digests]]:
        """What the other processes found out, as soon as it is there; they are ended then.

        To be asked for when nothing is left to `take`.

        Args:
            wanted: whose digests are needed; others are not waited for.
            sizes: the size of each file now: one that had another is left out.
        """
        waiting = {file.path for file in self._files if file.path in wanted} - self._mine
        try:
            lines = self._lines() if waiting and self._processes else iter(())
            for line in lines:
                found = json.loads(line)
                file = self._files[found["place"]]
                if file.path in wanted and found["digests"] and sizes.get(file.path) == file.size_bytes:
                    yield file.path, found["digests"]
                waiting.discard(file.path)
                if not waiting:
                    break
        finally:
            self.close()

    def _lines(self) -> Iterator[bytes]:
        with os.fdopen(self._results, "rb", closefd=False) as lines:
            yield from lines

    def close(self) -> None:
        """End the other processes."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        if self._processes:
            os.close(self._queue)
            os.close(self._results)
        self._processes = []

    def _start(self, count: int) -> None:
        self._queue, queue = os.pipe()
        os.write(queue, b"".join(_PLACE.pack(place) for place in range(len(self._files))))
        os.close(queue)
        self._results, results = os.pipe()
        parent = os.getpid()
        for _ in range(count):
            process = os.fork()
            if process == 0:
                with contextlib.suppress(BaseException):
                    os.close(self._results)
                    self._work(results, parent)
                os._exit(0)
            self._processes.append(process)
        os.close(results)

    def _next(self) -> int | None:
        """A few bytes of a pipe are read by one process alone."""
        data = os.read(self._queue, _PLACE.size)
        return _PLACE.unpack(data)[0] if len(data) == _PLACE.size else None

    def _work(self, results: int, parent: int) -> None:
        """In another process, until nothing is left."""

        def end_with_parent(_: int) -> None:
            if os.getppid() != parent:
                os._exit(1)

        os.nice(NICENESS)
        signal.signal(signal.SIGBUS, signal.SIG_DFL)  # a mapped file that becomes shorter: ended without a word
        while (place := self._next()) is not None:
            found: Digests = {}
            with contextlib.suppress(OSError, ArchiverError):
                found = self._hash(self._files[place], end_with_parent)
            os.write(results, json.dumps({"place": place, "digests": found}).encode() + b"\n")

    def _hash(self, file: Entry, on_bytes: Callable[[int], None]) -> Digests:
        with open_below(self._root, file.path) as opened:
            require_stored(opened, file.path)
            is_as_before = os.fstat(opened.fileno()).st_size == file.size_bytes
            return mapped_digests(opened, self._algorithms, on_bytes) if is_as_before else {}


def _large_files(root: Path) -> list[Entry]:
    with opened_folder(root) as folder:
        large = [entry for entry in walk(folder) if entry.kind == "file" and entry.size_bytes >= MINIMAL_BYTES]
    return sorted(large, key=lambda entry: -entry.size_bytes)[:MAXIMAL_FILES]
