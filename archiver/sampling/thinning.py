"""Which rows of a trace are kept when it has become too long.

The time from the first row to the last is cut into stretches of equal length. Each stretch keeps, for every key column,
the rows with its smallest and its largest value; the whole trace keeps its first and last row and, for every column,
the rows with the smallest and largest value of all. Rows that are kept are kept as they were measured, in their order.
So an extreme value is never lost, and old times are not thinner than new ones, however often a trace is thinned.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archiver.errors import ArgumentError


def minimal_limit(column_count: int, key_count: int) -> int:
    """The smallest number of rows that a trace can be thinned to."""
    return 2 + 2 * column_count + max(1, 2 * key_count)


def kept_rows(
    times: NDArray[np.float64], table: NDArray[np.float64], keys: Sequence[int], limit: int
) -> NDArray[np.intp]:
    """The numbers of at most `limit` rows, ascending.

    Args:
        times: shape (rows,), in seconds, never going back.
        table: shape (rows, columns), NaN where nothing was measured.
        keys: the numbers of the key columns.
        limit: how many rows may be kept, at least `minimal_limit`.

    Raises:
        ArgumentError: `limit` is too small.
    """
    row_count, column_count = table.shape
    least = minimal_limit(column_count, len(keys))
    if limit < least:
        raise ArgumentError(f"Received limit={limit}. Expected at least {least} rows for {column_count} columns.")
    if row_count <= limit:
        return np.arange(row_count)
    kept = {0, row_count - 1} | _extremes(table, range(column_count), 0)
    stretch_count = (limit - len(kept)) // max(1, 2 * len(keys))
    edges = np.linspace(times[0], times[-1], stretch_count + 1)[1:-1]
    borders = [0, *np.searchsorted(times, edges).tolist(), row_count]
    for begin, end in itertools.pairwise(borders):
        if end > begin:
            kept |= _extremes(table[begin:end], keys, begin) or {begin}
    return np.array(sorted(kept), np.intp)


def _extremes(rows: NDArray[np.float64], columns: Sequence[int], offset: int) -> set[int]:
    """The rows with the smallest and largest value of each column, the first one where several have it."""
    found = set()
    for column in columns:
        measured = np.flatnonzero(~np.isnan(rows[:, column]))
        if len(measured):
            values = rows[measured, column]
            found |= {offset + int(measured[values.argmin()]), offset + int(measured[values.argmax()])}
    return found
