"""Bringing the catalogue up to date: archives that are new or have changed are read, those that are gone are dropped.

Whether an archive has changed is told by the file system: sealing and finalizing replace files in its folder, and a
run that is not sealed appends to its journal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import sqlite

from archiver.archive.run import is_archive, is_bag
from archiver.catalog.columns import COLUMNS
from archiver.catalog.database import METRICS, RUNS, told
from archiver.catalog.ensembles import is_ensemble, refresh_ensembles
from archiver.catalog.parallel import read_rows
from archiver.catalog.reading import Row
from archiver.catalog.stamps import FRESH_NS, UNSETTLED
from archiver.layout import JOURNAL

ROWS_AT_ONCE = 2000
MAXIMAL_DEPTH = 16
"""Folders inside folders that are searched for archives."""


@dataclass(frozen=True)
class IndexResult:
    """What a refresh did."""

    run_count: int
    read_count: int
    """Archives that were new or had changed."""
    dropped_count: int
    problem_count: int
    """Archives of all whose records could not all be read."""
    elapsed_seconds: float


def refresh(engine: sql.Engine, store: Path, *, everything: bool = False) -> IndexResult:
    """Bring the database up to date with the archives of a store.

    Several processes may do so at once; one that is killed leaves what was there before.

    Args:
        engine: of `open_database`.
        store: the folder.
        everything: read archives that have not changed too.

    Raises:
        StorageError: the database cannot be written.
    """
    began = time.monotonic()
    with told(Path(engine.url.database or "")):
        with engine.connect() as connection:
            known: dict[str, str] = dict(connection.exec_driver_sql(_KNOWN).fetchall())
        ensembles: list[str] = []
        found = {_text(path): (path, stamp) for path, stamp in _archives(store, "", known, ensembles)}
        changed = [
            path for path, (_, stamp) in found.items() if everything or stamp == UNSETTLED or known.get(path) != stamp
        ]
        gone = [path for path in known if path not in found]
        read = read_rows([store / found[path][0] for path in changed])
        for begin in range(0, max(len(changed), len(gone)), ROWS_AT_ONCE):
            part = changed[begin : begin + ROWS_AT_ONCE]
            rows = [(path, found[path][1], next(read)) for path in part]
            _write(engine, rows, [*part, *gone[begin : begin + ROWS_AT_ONCE]])
        refresh_ensembles(engine, store, {_text(path): path for path in ensembles}, everything=everything)
        with engine.connect() as connection:
            count, problems = connection.execute(_COUNTS).one()
    return IndexResult(count, len(changed), len(gone), problems, time.monotonic() - began)


_KNOWN = str(sql.select(RUNS.c.path, RUNS.c.stamp).compile())
_COUNTS = sql.select(sql.func.count(), sql.func.count(RUNS.c.problem)).select_from(RUNS)


def _archives(
    folder: Path, prefix: str, known: Mapping[str, str], ensembles: list[str], depth: int = 0
) -> Iterator[tuple[str, str]]:
    """Path from the store, and stamp, of each archive below a folder; links are not followed.

    Ensembles are appended to a list meanwhile.
    """
    below: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False) or entry.name.startswith("."):
                    continue
                path = prefix + entry.name
                stamp = _stamp(entry, known.get(_text(path)))
                if stamp is not None:
                    yield path, stamp
                elif is_ensemble(entry.path):
                    ensembles.append(path)
                elif not is_bag(Path(entry)):  # a bag is a copy, handed over
                    below.append(entry.name)
    except OSError:  # it vanished, or may not be read
        return
    if depth < MAXIMAL_DEPTH:
        for name in sorted(below):
            yield from _archives(folder / name, f"{prefix}{name}/", known, ensembles, depth + 1)


def _text(path: str) -> str:
    """As the catalogue has it: bytes of a name that are no UTF-8 are written out."""
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")


def _stamp(entry: os.DirEntry[str], before: str | None) -> str | None:
    """What the file system says of an archive: of its folder, and behind a bar of its journal; None: it is none.

    Args:
        entry: the folder.
        before: the stamp of when it was read; one without a bar is that of a sealed archive, whose folder tells all.
    """
    try:
        folder = entry.stat(follow_symlinks=False)
        own = f"{folder.st_ino} {folder.st_mtime_ns}"
        if own == before:
            return own
        journal = os.stat(f"{entry.path}/{JOURNAL.pattern}", follow_symlinks=False)
    except OSError:
        return UNSETTLED if is_archive(Path(entry)) else None
    if time.time_ns() - max(journal.st_mtime_ns, folder.st_mtime_ns) < FRESH_NS:
        return UNSETTLED
    return f"{own}|{journal.st_mtime_ns} {journal.st_size}"


def _write(engine: sql.Engine, rows: list[tuple[str, str, Row]], replaced: list[str]) -> None:
    """Rows in place of those of these paths, all or none."""
    with engine.connect().execution_options(writes=True) as connection:
        some = RUNS.c.path.in_(replaced)
        connection.execute(METRICS.delete().where(METRICS.c.run_id.in_(sql.select(RUNS.c.run_id).where(some))))
        connection.execute(RUNS.delete().where(some))
        first = connection.execute(sql.select(sql.func.coalesce(sql.func.max(RUNS.c.run_id), 0) + 1)).scalar_one()
        if rows:
            connection.exec_driver_sql(_INSERT_RUN, [_values(first + place, *each) for place, each in enumerate(rows)])
        metrics = [
            (name, first + place, value)
            for place, (_, _, row) in enumerate(rows) for name, value in row.metrics.items()
        ]  # fmt: skip
        if metrics:
            connection.exec_driver_sql(_INSERT_METRIC, metrics)
        connection.commit()


def _values(run_id: int, path: str, stamp: str, row: Row) -> tuple[Any, ...]:
    values = row.values
    values["path"] = path
    if values.get("status") == "running":
        stamp = UNSETTLED  # whether its process lives is not to be seen from its files
    elif values["is_sealed"]:
        stamp = stamp.partition("|")[0]
    return (run_id, stamp, *(values.get(name) for name in _NAMES))


_NAMES = tuple(column.name for column in COLUMNS)


def _insert(table: sql.Table) -> str:
    """For the driver itself: SQLAlchemy's own preparation of each row takes longer than SQLite does."""
    return str(table.insert().compile(dialect=sqlite.dialect(paramstyle="qmark")))


_INSERT_RUN, _INSERT_METRIC = _insert(RUNS), _insert(METRICS)
