"""Bringing the catalogue up to date: archives that are new or have changed are read, those that are gone are dropped.

Whether an archive has changed is told by the file system: sealing and finalizing replace files in its folder, and a
run that is not sealed appends to its journal.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import sqlite

from archiver.archive.run import is_archive, is_bag
from archiver.catalog.database import METRICS, RUNS, told
from archiver.catalog.ensembles import is_ensemble, refresh_ensembles
from archiver.catalog.parallel import read_rows
from archiver.catalog.reading import NAMES, Cells
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
        found = {text: (path, stamp) for text, path, stamp in _archives(store, "", known, ensembles)}
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
_COUNTS = sql.select(*(
    sql.select(sql.func.count()).select_from(RUNS).where(condition).scalar_subquery()
    for condition in (sql.true(), RUNS.c.problem.is_not(None))
))  # fmt: skip


def _archives(
    folder: Path, prefix: str, known: Mapping[str, str], ensembles: list[str], depth: int = 0
) -> Iterator[tuple[str, str, str]]:
    """Path from the store, as the catalogue has it and as it is, and stamp, of each archive below a folder.

    Links are not followed.

    Ensembles are appended to a list meanwhile.
    """
    below: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False) or entry.name.startswith("."):
                    continue
                path = prefix + entry.name
                text = path if path.isascii() else _text(path)
                stamp = _stamp(entry, known.get(text))
                if stamp is not None:
                    yield text, path, stamp
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
    return os.fsencode(path).decode("utf-8", "backslashreplace")


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


def _write(engine: sql.Engine, rows: list[tuple[str, str, Cells]], replaced: list[str]) -> None:
    """Rows in place of those of these paths, all or none."""
    with engine.connect().execution_options(writes=True) as connection:
        for delete in (_DELETE_METRICS, _DELETE_RUNS):
            connection.exec_driver_sql(delete, (json.dumps(replaced),))
        first = connection.execute(sql.select(sql.func.coalesce(sql.func.max(RUNS.c.run_id), 0) + 1)).scalar_one()
        if rows:
            connection.exec_driver_sql(_INSERT_RUN, [_values(first + place, *each) for place, each in enumerate(rows)])
        metrics = [
            (name, first + place, value)
            for place, (_, _, (_, values)) in enumerate(rows) for name, value in values.items()
        ]  # fmt: skip
        if metrics:
            connection.exec_driver_sql(_INSERT_METRIC, metrics)
        connection.commit()


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
