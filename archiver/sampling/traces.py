"""Traces: CSV files that grow a row at a time, survive kill -9, and never become larger than they may.

A row is one `write`, so that a killed process leaves whole lines; a last line that was cut short all the same is
removed when the run goes on. The first columns are `elapsed_seconds` (since the sampling of that part began) and `part`
(which process of the run). An empty cell was not measured. A part that measures other columns than those before it adds
them on the right. A trace that reaches its number of rows is thinned to half: see `archiver.sampling.thinning`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from archiver.errors import ArgumentError, RecordError
from archiver.sampling.columns import Cell, Column
from archiver.sampling.thinning import kept_rows, minimal_limit
from archiver.storage import files

FIRST_COLUMNS = ("elapsed_seconds", "part")
MAXIMAL_ROWS = 20_000
"""With 40 columns about 4 MB; at 1 Hz the first five and a half hours are complete."""


class TraceFile:
    """One trace, opened for appending.

    Args:
        path: the file; what is in it already is kept.
        columns: what is measured.
        part: number of this process among those of the run.
        maximal_rows: how many rows the file may have.

    Raises:
        StorageError: the file system refused.
        RecordError: there is a file that is no trace.
        ArgumentError: `maximal_rows` is too small for the columns.
    """

    def __init__(self, path: Path, columns: Sequence[Column], part: int, maximal_rows: int = MAXIMAL_ROWS) -> None:
        self.path = path
        self.lost_row_count = 0
        """Rows that the file system did not take."""
        self.trouble: str | None = None
        """Why it did not, the last time."""
        self.is_thinned = False
        self._part = part
        self._owner = os.getpid()
        self._limit = self._thin_at = maximal_rows
        self._names = tuple(column.name for column in columns)
        self._keys = frozenset(column.name for column in columns if column.is_key)
        self._descriptor = -1
        self._prepare()

    def _prepare(self) -> None:
        lines = _lines(self.path)
        header = tuple(lines[0].split(",")) if lines else FIRST_COLUMNS
        if header[: len(FIRST_COLUMNS)] != FIRST_COLUMNS:
            raise RecordError(f"{self.path}: begins with {','.join(header)[:60]!r}; expected {','.join(FIRST_COLUMNS)}")
        added = tuple(name for name in self._names if name not in header)
        self.header = header + added
        self.row_count = max(0, len(lines) - 1)
        least = minimal_rows(len(self.header) - len(FIRST_COLUMNS), len(self._keys))
        if self._limit < least:
            raise ArgumentError(f"Received maximal_rows={self._limit}. Expected at least {least} for these columns.")
        places = {name: number for number, name in enumerate(self._names)}
        self._order = tuple(places.get(name, -1) for name in self.header[len(FIRST_COLUMNS) :])
        if added or not lines:
            self._rewrite([line + "," * len(added) for line in lines[1:]])
        self._open()

    def _open(self) -> None:
        with files.explained("append to", self.path):
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _rewrite(self, lines: Sequence[str]) -> None:
        files.write_text(self.path, "".join(f"{line}\n" for line in (",".join(self.header), *lines)))
        self.row_count = len(lines)

    def append(self, elapsed_seconds: float, cells: Sequence[Cell]) -> None:
        """Add a row with one cell for each column. What the file system refuses is counted; a forked child is silent.

        Raises:
            StorageError: the trace could not be thinned.
        """
        if self._descriptor < 0 or self._owner != os.getpid():
            return
        texts = [_text(cells[place]) if place >= 0 else "" for place in self._order]
        line = f"{elapsed_seconds:.3f},{self._part},{','.join(texts)}\n".encode()
        try:
            self._write(line)
        except OSError as error:
            self.lost_row_count += 1
            self.trouble = error.strerror or str(error)
            return
        self.row_count += 1
        if self.row_count >= self._thin_at:
            self._thin()

    def _write(self, line: bytes) -> None:
        written = os.write(self._descriptor, line)
        if written < len(line):  # the disk is full: half a row is worse than none
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise OSError(0, "the file system took only a part of a row")

    def _thin(self) -> None:
        self._thin_at = self.row_count + self._limit // 10  # when it is tried again, should it fail
        lines = _lines(self.path)
        kept = thinned(lines, self._keys, self._limit // 2)
        os.close(self._descriptor)
        self._descriptor = -1
        try:
            self._rewrite(kept)
            self._thin_at = self._limit
            self.is_thinned = True
        finally:
            self._open()

    def close(self) -> None:
        """Give the descriptor back; a closed trace takes no more rows."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return str(cell) if isinstance(cell, int) else repr(round(float(cell), 3))


def _lines(path: Path) -> list[str]:
    """The whole lines; a torn last one is left out."""
    if not path.exists():
        return []
    with files.explained("read", path):
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(path, len(whole))
    return whole.decode(errors="replace").splitlines()


def minimal_rows(column_count: int, key_count: int) -> int:
    """The smallest number of rows that a trace with so many columns of its own can be bounded to."""
    return 2 * minimal_limit(len(FIRST_COLUMNS) + column_count, key_count)


def thinned(lines: Sequence[str], keys: frozenset[str], limit: int) -> list[str]:
    """The rows that are kept of a trace's lines; the first line is the header."""
    import numpy as np

    header = lines[0].split(",")
    table = np.array([_numbers(line, len(header)) for line in lines[1:]], float)
    key_numbers = [number - 2 for number, name in enumerate(header) if name in keys]
    rows = kept_rows(np.fromiter(_running_time(table[:, :2].tolist()), float), table[:, 2:], key_numbers, limit)
    return [lines[row + 1] for row in rows]


def _numbers(line: str, count: int) -> list[float]:
    cells = [_number(cell) for cell in line.split(",")]
    return (cells + [math.nan] * count)[:count]


def _number(cell: str) -> float:
    try:
        return float(cell) if cell else math.nan
    except ValueError:
        return math.nan


def _running_time(rows: list[list[float]]) -> Iterator[float]:
    """Time that goes on from part to part."""
    offset = latest = 0.0
    last_part = None
    for elapsed, part in rows:
        if part != last_part:
            offset, last_part = latest, part
        latest = max(latest, offset + elapsed)
        yield latest
