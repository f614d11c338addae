"""Writing rows into the catalogue, some thousands at once; the first ones of all without indexes, which come after."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import sqlite

from archiver.catalog.database import METRICS, RUNS
from archiver.catalog.reading import NAMES, Cells
from archiver.catalog.stamps import UNSETTLED

ROWS_AT_ONCE = 2000
METRICS_AT_ONCE = 300
"""In a statement: SQLite takes 999 values in one, newer ones more."""

Row = tuple[str, str, Cells]
"""Path and stamp of an archive, and its cells."""


class Writing:
    """Rows on their way into the database: what was written stays, if the process is killed.

    Args:
        engine: of `open_database`.
        is_first: there seems to be nothing in the database: indexes are made when all is written.
    """

    def __init__(self, engine: sql.Engine, *, is_first: bool) -> None:
        self._engine = engine
        self._is_first = is_first
        self._are_indexes_known = False
        self._rows: list[Row] = []
        self.row_count = 0

    def add(self, path: str, stamp: str, cells: Cells) -> None:
        """The row of one archive, in place of the one with this path."""
        self._rows.append((path, stamp, cells))
        self.row_count += 1
        if len(self._rows) == ROWS_AT_ONCE:
            self._flush()

    def finish(self, gone: list[str]) -> None:
        """Write what is left, and take the rows of these paths out."""
        while self._rows or gone:
            self._flush(gone[:ROWS_AT_ONCE])
            gone = gone[ROWS_AT_ONCE:]
        if self._is_first and self._are_indexes_known:
            with self._engine.connect().execution_options(writes=True) as connection:
                _make_indexes(connection)
                connection.commit()

    def _flush(self, gone: list[str] | None = None) -> None:
        rows, self._rows = self._rows, []
        with self._engine.connect().execution_options(writes=True) as connection:
            if not self._are_indexes_known:
                self._know_indexes(connection, len(rows))
            _write(connection, rows, [*(row[0] for row in rows), *(gone or [])])
            connection.commit()

    def _know_indexes(self, connection: sql.Connection, row_count: int) -> None:
        """Drop them where all is still to be written; make them where a process that wrote without them was killed."""
        self._are_indexes_known = True
        if self._is_first and row_count == ROWS_AT_ONCE:
            for index in _LATER:
                index.drop(connection, checkfirst=True)
        else:
            self._is_first = False
            _make_indexes(connection)


def _make_indexes(connection: sql.Connection) -> None:
    for index in _LATER:
        index.create(connection, checkfirst=True)


def _write(connection: sql.Connection, rows: list[Row], replaced: list[str]) -> None:
    """Rows in place of those of these paths."""
    ids = [run_id for (run_id,) in connection.exec_driver_sql(_FIND_RUNS, (json.dumps(replaced),))]
    if ids:
        for delete in (_DELETE_METRICS, _DELETE_RUNS):
            connection.exec_driver_sql(delete, (json.dumps(ids),))
    first = connection.execute(sql.select(sql.func.coalesce(sql.func.max(RUNS.c.run_id), 0) + 1)).scalar_one()
    if rows:
        connection.exec_driver_sql(_INSERT_RUN, [_values(first + place, *each) for place, each in enumerate(rows)])
        _write_metrics(connection, first, rows)


def _write_metrics(connection: sql.Connection, first: int, rows: list[Row]) -> None:
    """Many in each statement: that takes half the time of one in each."""
    cells = [
        cell
        for run_id, (_, _, (_, metrics)) in enumerate(rows, first)
        for name, value in metrics.items()
        for cell in (run_id, name, value)
    ]
    width = len(METRICS.columns)
    whole = len(cells) - len(cells) % (width * METRICS_AT_ONCE)
    for part, count in ((cells[:whole], METRICS_AT_ONCE), (cells[whole:], (len(cells) - whole) // width)):
        if part:
            step = width * count
            parameters = [tuple(part[place : place + step]) for place in range(0, len(part), step)]
            connection.exec_driver_sql(_INSERT_METRIC + ", (?, ?, ?)" * (count - 1), parameters)


def _values(run_id: int, path: str, stamp: str, cells: Cells) -> tuple[Any, ...]:
    values = cells[0]
    values[_PATH] = path
    if values[_STATUS] == "running":
        stamp = UNSETTLED  # whether its process lives is not to be seen from its files
    elif values[_IS_SEALED]:
        stamp = stamp.partition("|")[0]
    return (run_id, stamp, *values)


_PATH, _STATUS, _IS_SEALED = (NAMES.index(name) for name in ("path", "status", "is_sealed"))


def _insert(table: sql.Table) -> str:
    """For the driver itself: SQLAlchemy's own preparation of each row takes longer than SQLite does."""
    return str(table.insert().compile(dialect=sqlite.dialect(paramstyle="qmark")))


# One parameter for all: preparing a statement of thousands takes longer than what it does.
_FIND_RUNS = "SELECT run_id FROM runs WHERE path IN (SELECT value FROM json_each(?))"
_DELETE_METRICS = "DELETE FROM metrics WHERE run_id IN (SELECT value FROM json_each(?))"
_DELETE_RUNS = "DELETE FROM runs WHERE run_id IN (SELECT value FROM json_each(?))"
_INSERT_RUN, _INSERT_METRIC = _insert(RUNS), _insert(METRICS)
_LATER = sorted(
    (index for index in (*RUNS.indexes, *METRICS.indexes) if index.name != "runs_path"), key=lambda each: str(each.name)
)
"""Indexes that are quicker made than kept up; that of the paths is needed to write."""
