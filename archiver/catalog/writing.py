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
FIRST_ROWS = 100_000
"""So many are written without indexes in one transaction, during which no other process can write."""

Row = tuple[str, str, Cells]
"""Path and stamp of an archive, and its cells."""


class Writing:
    """Rows on their way into the database. Those that are not committed when it is closed are dropped.

    Args:
        engine: of `open_database`.
        is_first: there seems to be nothing in the database.
    """

    def __init__(self, engine: sql.Engine, *, is_first: bool) -> None:
        self._engine = engine
        self._is_first = is_first
        self._rows: list[Row] = []
        self._first: sql.Connection | None = None
        """On which the first rows are written, until there are indexes again."""
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
        self._end_first()

    def close(self) -> None:
        """Let go of the database."""
        if self._first is not None:
            self._first.close()
            self._first = None

    def _flush(self, gone: list[str] | None = None) -> None:
        rows, self._rows = self._rows, []
        if self._is_first and self._first is None and len(rows) == ROWS_AT_ONCE:
            self._begin_first()
        if self._first is not None:
            _write(self._first, rows, gone or [])
            if self.row_count >= FIRST_ROWS:
                self._end_first()
            return
        with self._engine.connect().execution_options(writes=True) as connection:
            _write(connection, rows, [*(row[0] for row in rows), *(gone or [])])
            connection.commit()

    def _begin_first(self) -> None:
        self._is_first = False
        connection = self._engine.connect().execution_options(writes=True)
        if (
            connection.execute(sql.select(RUNS.c.run_id).limit(1)).one_or_none() is not None
        ):  # another process was first
            connection.close()
            return
        self._first = connection
        for index in _INDEXES:
            index.drop(connection, checkfirst=True)

    def _end_first(self) -> None:
        if self._first is None:
            return
        for index in _INDEXES:
            index.create(self._first)
        self._first.commit()
        self.close()


def _write(connection: sql.Connection, rows: list[Row], replaced: list[str]) -> None:
    """Rows in place of those of these paths."""
    if replaced:
        for delete in (_DELETE_METRICS, _DELETE_RUNS):
            connection.exec_driver_sql(delete, (json.dumps(replaced),))
    first = connection.execute(sql.select(sql.func.coalesce(sql.func.max(RUNS.c.run_id), 0) + 1)).scalar_one()
    if rows:
        connection.exec_driver_sql(_INSERT_RUN, [_values(first + place, *each) for place, each in enumerate(rows)])
    metrics = [
        (name, first + place, value) for place, (_, _, (_, values)) in enumerate(rows) for name, value in values.items()
    ]
    if metrics:
        connection.exec_driver_sql(_INSERT_METRIC, metrics)


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


# One parameter for all paths: preparing a statement of thousands takes longer than what it does.
_SOME = "FROM runs WHERE path IN (SELECT value FROM json_each(?))"
_DELETE_METRICS = f"DELETE FROM metrics WHERE run_id IN (SELECT run_id {_SOME})"  # noqa: S608 - no text of anybody's
_DELETE_RUNS = f"DELETE {_SOME}"
_INSERT_RUN, _INSERT_METRIC = _insert(RUNS), _insert(METRICS)
_INDEXES = sorted((*RUNS.indexes, *METRICS.indexes), key=lambda index: str(index.name))
