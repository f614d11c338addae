"""Where two runs first differ, to the step: by the running means of the loss in `traces/steps.csv`."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.comparison.curves import EpochKey, difference_of
from archiver.errors import ArchiverError
from archiver.storage.reading import open_below

MAXIMAL_BYTES = 128 << 20
"""A trace of a million steps has about half of it."""
MAXIMAL_LINE_BYTES = 4096
MAXIMAL_EPOCH_ROWS = 1 << 18
"""Of an epoch; archiver writes a sixteenth of them."""
COLUMNS = ("phase", "epoch", "step", "running_mean_loss")

Row = tuple[EpochKey, int, str]


@dataclass(frozen=True)
class StepDifference:
    """The first step after which the running mean of the loss differs, among those that both traces have."""

    phase: int
    epoch: int
    step: int
    """As Keras counts, from 0 within the epoch."""
    before: float
    after: float
    is_exact: bool
    """Whether the traces have every step before it in the epoch; long traces leave steps out."""


def first_step(before: Run, after: Run) -> StepDifference | None:
    """None: no step of both differs, or a run has no such trace."""
    try:
        with _opened(before) as one, _opened(after) as other:
            return _first(_epochs(one), _epochs(other))
    except (ArchiverError, OSError, ValueError):
        return None


def _opened(run: Run) -> io.BufferedReader:
    raw: Any = open_below(run.path, layout.STEPS.path(run.name))
    return io.BufferedReader(raw)


def _rows(file: io.BufferedReader) -> Iterator[Row]:
    """Whole rows; what is no number ends the reading."""
    header = file.readline(MAXIMAL_LINE_BYTES).decode("ascii", "replace").strip().split(",")
    places = [header.index(name) for name in COLUMNS]
    left = MAXIMAL_BYTES
    while left > 0 and (line := file.readline(MAXIMAL_LINE_BYTES)).endswith(b"\n"):
        left -= len(line)
        (cells,) = csv.reader([line.decode("ascii", "replace").strip()])
        phase, epoch, step = (int(cells[place]) for place in places[:3])
        yield (phase, epoch), step, cells[places[3]]


def _epochs(file: io.BufferedReader) -> Iterator[tuple[EpochKey, dict[int, str]]]:
    """The steps of each epoch; one that was done again after a kill stands there twice."""
    try:
        for key, rows in itertools.groupby(_rows(file), key=lambda row: row[0]):
            yield key, {step: text for _, step, text in itertools.islice(rows, MAXIMAL_EPOCH_ROWS)}
    except (ValueError, IndexError, csv.Error):
        return


def _first(
    before: Iterator[tuple[EpochKey, dict[int, str]]], after: Iterator[tuple[EpochKey, dict[int, str]]]
) -> StepDifference | None:
    one, other = next(before, None), next(after, None)
    while one is not None and other is not None:
        if one[0] == other[0]:
            found = _within(one[0], one[1], other[1])
            if found is not None:
                return found
            one, other = next(before, None), next(after, None)
        elif one[0] < other[0]:
            one = next(before, None)
        else:
            other = next(after, None)
    return None


def _within(key: EpochKey, before: dict[int, str], after: dict[int, str]) -> StepDifference | None:
    common = sorted(before.keys() & after.keys())
    for count, step in enumerate(common):
        if before[step] != after[step]:
            values = float(before[step]), float(after[step])
            if difference_of(*values):
                return StepDifference(*key, step, *values, is_exact=count == step)
    return None
