"""Reading the traces of a run for figures: a few columns, a few hundred points."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.storage.reading import read_below

MAXIMAL_BYTES = 64 << 20
MAXIMAL_POINTS = 600
"""Per curve. Of more rows, the one with the smallest and the one with the largest value of each stretch is drawn."""


@dataclass(frozen=True)
class Trace:
    """Columns of numbers, as long as the trace has rows; NaN where nothing was measured."""

    seconds: tuple[float, ...]
    """Going on from part to part."""
    columns: dict[str, tuple[float, ...]]

    def points(self, name: str) -> tuple[list[float], list[float]]:
        """(seconds, values) of a column where it was measured, thinned; empty where there is no such column."""
        values = self.columns.get(name, ())
        rows = [row for row, value in enumerate(values) if math.isfinite(value)]
        rows = _thinned(rows, values)
        return [self.seconds[row] for row in rows], [values[row] for row in rows]

    def largest(self, name: str) -> float | None:
        """The largest value of a column."""
        return max((value for value in self.columns.get(name, ()) if math.isfinite(value)), default=None)


NOTHING = Trace((), {})


def read_trace(run: Run, file: layout.ArchiveFile) -> Trace:
    """A trace of the run; an empty one where there is none that can be read."""
    path = file.path(run.name)
    try:
        text = read_below(run.path, path, MAXIMAL_BYTES).decode("utf-8", errors="replace")
    except (OSError, ArchiverError):
        return NOTHING
    return trace_from(csv.reader(text.splitlines()))


def trace_from(lines: Iterable[Sequence[str]]) -> Trace:
    """A trace from its rows, the header first; rows that are cut short are left out."""
    rows = iter(lines)
    header = next(rows, [])
    whole = [[_number(cell) for cell in row] for row in rows if len(row) == len(header)]
    columns = dict(zip(header, zip(*whole, strict=True), strict=True)) if whole else {}
    if "elapsed_seconds" not in columns:
        return NOTHING
    seconds = _running(columns.pop("elapsed_seconds"), columns.pop("part", (0.0,) * len(whole)))
    return Trace(seconds, columns)


def _running(elapsed: Sequence[float], parts: Sequence[float]) -> tuple[float, ...]:
    """The clock of each part begins at 0; here it goes on where the part before ended."""
    found: list[float] = []
    offset = 0.0
    for row, seconds in enumerate(elapsed):
        if row and parts[row] != parts[row - 1]:
            offset = found[-1]
        found.append(offset + seconds)
    return tuple(found)


def _number(cell: str) -> float:
    try:
        return float(cell) if cell else math.nan
    except ValueError:
        return math.nan


def _thinned(rows: list[int], values: Sequence[float]) -> list[int]:
    if len(rows) <= MAXIMAL_POINTS:
        return rows
    stretch = -(-2 * len(rows) // MAXIMAL_POINTS)
    kept = {rows[0], rows[-1]}
    for start in range(0, len(rows), stretch):
        part = rows[start : start + stretch]
        kept |= {min(part, key=values.__getitem__), max(part, key=values.__getitem__)}
    return sorted(kept)
