"""Bringing the catalogue up to date: new and changed archives are read, those that are gone are dropped."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sql

from archiver.catalog.database import RUNS, told
from archiver.catalog.ensembles import refresh_ensembles
from archiver.catalog.parallel import Read, read_rows, read_rows_on_cluster
from archiver.catalog.scanning import Scan
from archiver.catalog.writing import Writing
from archiver.cycles import cycles_ignored
from archiver.errors import ArgumentError

if TYPE_CHECKING:
    from archiver.remote.urls import Remote


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


def refresh(
    engine: sql.Engine, store: Path | Remote, *, everything: bool = False, cluster: str | None = None
) -> IndexResult:
    """Bring the database up to date with the archives of a store.

    Several processes may do so at once; one that is killed leaves what was there before.

    Args:
        engine: of `open_database`.
        store: the folder; or what lies elsewhere.
        everything: read archives that have not changed too.
        cluster: address of a Dask scheduler, whose workers read the archives; None: processes of this machine do.

    Raises:
        StorageError: the database cannot be written, or no scheduler can be reached.
        MissingExtraError: a cluster is asked for, and joblib or distributed is not installed.
        ArgumentError: a cluster is asked for what lies elsewhere.
        RemoteError: what lies elsewhere cannot be reached.
    """
    began = time.monotonic()
    with told(Path(engine.url.database or "")), cycles_ignored():
        with engine.connect() as connection, contextlib.closing(connection.connection.cursor()) as cursor:
            cursor.execute(_KNOWN)  # of the driver itself: making SQLAlchemy's rows is a twentieth of a refresh
            known: dict[str, str] = dict(cursor.fetchall())
        writing = Writing(engine, is_first=not known)
        with _looking(store, known, everything=everything, cluster=cluster) as (folder, scan, rows):
            for path, cells in rows:
                writing.add(*scan.found.pop(path), cells)
            gone = list(scan.known)
            writing.finish(gone)
            refresh_ensembles(engine, folder, scan.ensembles, everything=everything)
        with engine.connect() as connection:
            count, problems = connection.execute(_COUNTS).one()
    return IndexResult(count, writing.row_count, len(gone), problems, time.monotonic() - began)


@contextlib.contextmanager
def _looking(
    store: Path | Remote, known: dict[str, str], *, everything: bool, cluster: str | None
) -> Iterator[tuple[Path, Scan, Iterator[Read]]]:
    """A look through a store, the rows of what has changed, and the folder where ensembles' journals are."""
    if isinstance(store, Path):
        scan = Scan(known, everything=everything)
        folder, changed = os.fspath(store), scan.changed(store)
        yield store, scan, read_rows_on_cluster(folder, changed, cluster) if cluster else read_rows(folder, changed)
        return
    if cluster is not None:
        raise ArgumentError(
            f"Received cluster={cluster!r} for {store.url}. Expected a folder that its workers see: what lies "
            "elsewhere is read by many requests at once, from here."
        )
    from archiver.catalog.remote import RemoteScan

    with tempfile.TemporaryDirectory(prefix="archiver-") as temporary:
        there = RemoteScan(store, Path(temporary), known, everything=everything)
        yield Path(temporary), there, there.rows()


_KNOWN = str(sql.select(RUNS.c.path, RUNS.c.stamp).compile())
_COUNTS = sql.select(*(
    sql.select(sql.func.count()).select_from(RUNS).where(condition).scalar_subquery()
    for condition in (sql.true(), RUNS.c.problem.is_not(None))
))  # fmt: skip
