"""Rows of many archives, read by several processes while the caller still looks for more of them.

They are forked: what would be started anew would load for longer than it reads. A process with several threads, such as
the dashboard, is not forked.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import marshal
import os
import struct
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Any, BinaryIO

from archiver.catalog.reading import Cells, read_row
from archiver.cores import usable_cores
from archiver.jobs import run_jobs

MINIMAL_RUNS = 1000
"""Fewer are read by this process alone."""
MAXIMAL_PROCESSES = 8
RUNS_AT_ONCE = 64
BATCH_CHARACTERS = 4096
"""Of the paths in a batch: those that wait for a process must fit its pipe, or each would wait for the other."""
PIPE_BYTES = 1 << 20
"""Room for the rows that are read while this process writes others into the database."""
WAITING_BATCHES = 16
"""Of each process, so that it never waits for this one."""
FEW_BATCHES = 3
"""The same, where pipes have the 64 KiB they come with."""

_LENGTH = struct.Struct("<I")

Read = tuple[str, Cells]
"""The path of an archive from the store, and its cells."""


def read_rows(store: str, paths: Iterable[str]) -> Iterator[Read]:
    """The cells of each archive, see `read_row`, in any order. The paths are asked for while others are being read.

    Args:
        store: the folder.
        paths: of archives, from the store.
    """
    batches = _batches(paths)
    first = list(islice(batches, MINIMAL_RUNS // RUNS_AT_ONCE))
    count = _process_count() if len(first) == MINIMAL_RUNS // RUNS_AT_ONCE else 1
    if count == 1:
        for batch in chain(first, batches):
            yield from _read_all(store, batch)
        return
    with contextlib.ExitStack() as stack:
        readers: list[_Reader] = []
        for _ in range(count):
            readers.append(_Reader(store, readers))
            stack.callback(readers[-1].close)
        for place, batch in enumerate(chain(first, batches)):
            reader = readers[place % count]
            if len(reader.waiting) == reader.maximal_waiting:
                yield from reader.receive()
            reader.send(batch)
        while any(reader.waiting for reader in readers):
            for reader in readers:
                if reader.waiting:
                    yield from reader.receive()


def read_rows_on_cluster(store: str, paths: Iterable[str], cluster: str) -> Iterator[Read]:
    """As `read_rows`, by the workers of a Dask cluster, which see the store at the same path.

    Args:
        store: the folder.
        paths: of archives, from the store.
        cluster: address of its scheduler.

    Raises:
        MissingExtraError, StorageError: see `archiver.jobs.run_jobs`.
    """
    for outcome in run_jobs(partial(_read_all, store), list(_batches(paths)), cluster=cluster):
        # What a worker could not do is done here.
        yield from outcome.result if outcome.result is not None else _read_all(store, outcome.item)


def _batches(paths: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    length = 0
    for path in paths:
        if batch and (len(batch) == RUNS_AT_ONCE or length + len(path) > BATCH_CHARACTERS):
            yield batch
            batch, length = [], 0
        batch.append(path)
        length += len(path)
    if batch:
        yield batch


def _process_count() -> int:
    if threading.active_count() > 1 or not hasattr(os, "sched_getaffinity"):
        return 1
    return min(usable_cores(), MAXIMAL_PROCESSES)


def _read_all(store: str, batch: list[str]) -> list[Read]:
    return [(path, read_row(f"{store}/{path}")) for path in batch]


class _Reader:
    """Another process, which reads archives. One that was killed leaves the rest to this process.

    Args:
        store: the folder.
        others: those that were started before, of which the new process lets go.
    """

    def __init__(self, store: str, others: list[_Reader]) -> None:
        self._store = store
        self.waiting: deque[list[str]] = deque()
        """Batches that were sent and not received."""
        requests, self._requests = _pipe()
        self._replies, replies = _pipe()
        is_roomy = _widen(requests) and _widen(replies)
        self.maximal_waiting = WAITING_BATCHES if is_roomy else FEW_BATCHES
        self._process = os.fork()
        if self._process == 0:
            # Nothing of the parent's is closed or flushed but the pipes, which the parent's end must be alone to hold.
            with contextlib.suppress(BaseException):
                gc.disable()  # nothing that is read refers to itself
                for pipe in (self._requests, self._replies, *(end for each in others for end in each.ends())):
                    os.close(pipe.fileno())
                while batch := _receive(requests):
                    _send(_read_all(store, batch), replies)
            os._exit(0)
        requests.close()
        replies.close()

    def send(self, batch: list[str]) -> None:
        """Have these archives read."""
        self.waiting.append(batch)
        with contextlib.suppress(OSError):  # it was killed, which shows when the rows are received
            _send(batch, self._requests)

    def receive(self) -> list[Read]:
        """The rows of the oldest batch that waits, once they are there."""
        batch = self.waiting.popleft()
        try:
            rows: list[Read] = _receive(self._replies)
        except EOFError:
            return _read_all(self._store, batch)
        return rows

    def close(self) -> None:
        """End the process: one whose pipes nobody holds ends by itself."""
        for pipe in self.ends():
            with contextlib.suppress(OSError):
                pipe.close()
        os.waitpid(self._process, 0)

    def ends(self) -> tuple[BinaryIO, BinaryIO]:
        """The two pipes, as far as this process holds them."""
        return self._replies, self._requests


def _send(what: Any, pipe: BinaryIO) -> None:
    data = marshal.dumps(what)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _receive(pipe: BinaryIO) -> Any:
    """What `_send` sent. Not by `marshal.load`, which asks the pipe for each few bytes, and takes twenty times as long.

    Raises:
        EOFError: the other process has ended.
    """
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    return marshal.loads(_exactly(pipe, length))  # noqa: S302 - of a process of our own


def _exactly(pipe: BinaryIO, count: int) -> bytes:
    data = pipe.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")


def _widen(pipe: BinaryIO) -> bool:
    """Whether it has room for `PIPE_BYTES` now."""
    try:
        return fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES) >= PIPE_BYTES
    except (OSError, AttributeError):  # more than this user may have, or not on this system
        return False
