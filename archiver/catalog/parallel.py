"""Rows of many archives, read by several processes at once.

They are forked: what would be started anew would load for longer than it reads. A process with several threads, such as
the dashboard, is not forked.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from archiver.catalog.reading import Cells, read_row
from archiver.cores import usable_cores

MINIMAL_RUNS = 1000
"""Fewer are read by this process alone."""
MAXIMAL_PROCESSES = 8
ROWS_AT_ONCE = 64


def read_rows(folders: Sequence[Path]) -> Iterator[Cells]:
    """The cells of each archive, in order; see `read_row`."""
    count = _process_count(len(folders))
    if count == 1:
        yield from (read_row(folder).cells() for folder in folders)
        return
    with contextlib.ExitStack() as stack:
        streams = [_rows_of(stack, folders[place::count]) for place in range(count)]
        for place, folder in enumerate(folders):
            row = next(streams[place % count], None)
            # A process that was killed leaves the rest to this one.
            yield row if row is not None else read_row(folder).cells()


def _process_count(run_count: int) -> int:
    if run_count < MINIMAL_RUNS or threading.active_count() > 1 or not hasattr(os, "sched_getaffinity"):
        return 1
    return min(usable_cores(), MAXIMAL_PROCESSES)


def _rows_of(stack: contextlib.ExitStack, folders: Sequence[Path]) -> Iterator[Cells]:
    """Rows that another process reads; fewer where it ends early."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _work(reading, writing, folders)
    os.close(writing)
    stack.callback(os.waitpid, child, 0)
    # Closed before it is waited for: a process whose pipe nobody reads ends.
    return _received(stack.enter_context(os.fdopen(reading, "rb")))


def _work(reading: int, writing: int, folders: Sequence[Path]) -> None:
    """In the other process, which ends here: nothing of its parent's is closed or flushed."""
    with contextlib.suppress(BaseException):
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            for begin in range(0, len(folders), ROWS_AT_ONCE):
                part = folders[begin : begin + ROWS_AT_ONCE]
                marshal.dump([read_row(folder).cells() for folder in part], pipe)
    os._exit(0)


def _received(pipe: BinaryIO) -> Iterator[Cells]:
    while True:
        try:
            rows: list[Cells] = marshal.load(pipe)  # noqa: S302 - of a process of our own
        except (EOFError, ValueError, TypeError):
            return
        yield from rows
