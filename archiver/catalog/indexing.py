"""Bringing the catalogue up to date: new and changed archives are read, those that are gone are dropped."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sql

from archiver.catalog.database import RUNS, told
from archiver.catalog.ensembles import refresh_ensembles
from archiver.catalog.parallel import read_rows
from archiver.catalog.scanning import Scan
from archiver.catalog.writing import Writing


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
        writing, scan = Writing(engine, is_first=not known), Scan(known, everything=everything)
        for path, cells in read_rows(os.fspath(store), scan.changed(store)):
            writing.add(*scan.found.pop(path), cells)
        gone = list(scan.known)
        writing.finish(gone)
        refresh_ensembles(engine, store, scan.ensembles, everything=everything)
        with engine.connect() as connection:
            count, problems = connection.execute(_COUNTS).one()
    return IndexResult(count, writing.row_count, len(gone), problems, time.monotonic() - began)


_KNOWN = str(sql.select(RUNS.c.path, RUNS.c.stamp).compile())
_COUNTS = sql.select(*(
    sql.select(sql.func.count()).select_from(RUNS).where(condition).scalar_subquery()
    for condition in (sql.true(), RUNS.c.problem.is_not(None))
))  # fmt: skip
