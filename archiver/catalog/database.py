"""The file of a catalogue: its tables, where it lies, and its making anew.

Nothing in it is worth keeping: a file of another version, a damaged or a foreign one is deleted and built again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from archiver.catalog.columns import COLUMNS, ENSEMBLE_COLUMNS, Kind
from archiver.errors import StorageError
from archiver.remote.urls import cache_folder
from archiver.storage.files import explained
from archiver.storage.locks import wait_for_lock
from archiver.storage.mounts import network_file_system

FILE_NAME = "catalog.db"
APPLICATION_ID = 0x61726368
"""In the header of the file: "arch"."""
SCHEMA_VERSION = 4
"""Of the tables below: raised with every change of them."""
BUSY_SECONDS = 60
CACHE_BYTES = 64 << 20
PAGE_BYTES = 8 << 10
"""Twice the usual: a row has nearly a kilobyte."""

_TYPES: dict[Kind, Any] = {
    "text": sql.Text, "whole": sql.BigInteger, "real": sql.Float, "truth": sql.Boolean, "time": sql.Text,
}  # fmt: skip

TABLES = sql.MetaData()
RUNS = sql.Table(
    "runs",
    TABLES,
    sql.Column("run_id", sql.Integer, primary_key=True),
    sql.Column("stamp", sql.Text, nullable=False),
    *(sql.Column(column.name, _TYPES[column.kind]) for column in COLUMNS),
)
"""A row for each archive. `stamp`: what the file system said of it. Times are ISO 8601 texts in UTC."""
METRICS = sql.Table(
    "metrics",
    TABLES,
    sql.Column("run_id", sql.Integer, primary_key=True),  # first, so that rows of new runs go to the end
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("value", sql.Float),
    sqlite_with_rowid=False,
)
"""The last value of each metric; no value: NaN or infinite."""
ENSEMBLES = sql.Table(
    "ensembles",
    TABLES,
    sql.Column("path", sql.Text, primary_key=True),
    sql.Column("stamp", sql.Text, nullable=False),
    sql.Column("name", sql.Text),
    sql.Column("is_complete", sql.Boolean),
    sql.Column("problem", sql.Text),
)
"""A row for each ensemble's journal."""
ENSEMBLE_LOG = sql.Table(
    "ensemble_log",
    TABLES,
    sql.Column("row_id", sql.Integer, primary_key=True),
    *(sql.Column(column.name, _TYPES[column.kind]) for column in ENSEMBLE_COLUMNS),
)
"""A row for each candidate that was tried. Memory that was not measured has no value."""
sql.Index("runs_path", RUNS.c.path, RUNS.c.stamp)  # both, so that looking for changes reads nothing else
sql.Index("runs_problem", RUNS.c.problem, sqlite_where=RUNS.c.problem.is_not(None))
sql.Index("runs_weights", RUNS.c.weights_digest)
sql.Index("runs_best_weights", RUNS.c.best_weights_digest)
sql.Index("runs_initial_weights", RUNS.c.initial_weights_digest)
sql.Index("ensemble_log_path", ENSEMBLE_LOG.c.path)
sql.Index("metrics_value", METRICS.c.name, METRICS.c.value)


def catalogue_path(store: Path) -> Path:
    """Where the catalogue of a store lies: in it; or in the user's cache folder where nothing can be written there, or
    where several machines may write, which SQLite does not allow them."""
    own = store / FILE_NAME
    if (
        network_file_system(store) is None
        and os.access(own if own.exists() else store, os.W_OK)
        and os.access(store, os.W_OK)
    ):
        return own
    return cached_catalogue_path(os.fsencode(store.resolve()))


def cached_catalogue_path(place: str | bytes) -> Path:
    """Where the catalogue of a store lies that cannot hold it, in the user's cache folder.

    Args:
        place: the store's path or URL.
    """
    digest = hashlib.sha256(place.encode() if isinstance(place, str) else place).hexdigest()
    return cache_folder("catalogues") / f"{digest[:32]}.db"


def open_database(path: Path) -> sql.Engine:
    """The database, with its tables; made anew where it is not one of ours, or of another version.

    Raises:
        StorageError: the file cannot be made.
    """
    with explained("make", path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path), told(path):
        engine = _engine(path)
        if not _is_ours(engine):
            engine.dispose()
            _remove(path)
            engine = _engine(path)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
            TABLES.create_all(connection)
    return engine


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Make what a database says a `StorageError` that says where."""
    try:
        yield
    except (sql.exc.DBAPIError, sqlite3.Error) as error:  # through SQLAlchemy, or of the driver itself
        cause = error.orig if isinstance(error, sql.exc.DBAPIError) else error
        is_damaged = type(cause) is sqlite3.DatabaseError
        remedy = "delete it, it is built anew" if is_damaged else "check the path, and whether another process holds it"
        raise StorageError(f"cannot use the catalogue {path}: {cause}; {remedy}") from error


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two processes shall not replace an old database by turns."""
    with explained("lock", path.parent):
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        wait_for_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _engine(path: Path) -> sql.Engine:
    engine = sql.create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS})

    @sql.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's "begin" below is the only one
        connection.execute(f"PRAGMA cache_size = {-(CACHE_BYTES >> 10)}")
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a file that is made; nothing to one that is there
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # a catalogue that a power loss damages is built again

    @sql.event.listens_for(engine, "begin")
    def begin(connection: sql.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")

    return engine


def _is_ours(engine: sql.Engine) -> bool:
    try:
        with engine.connect() as connection:
            application = connection.exec_driver_sql("PRAGMA application_id").scalar()
            version = connection.exec_driver_sql("PRAGMA user_version").scalar()
            found = {
                table: {row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")}
                for table in TABLES.tables
            }
    except sql.exc.DBAPIError as error:
        if type(error.orig) is not sqlite3.DatabaseError:  # it is busy, or cannot be read
            raise
        return False  # no database, or a damaged one
    if (application, version) == (0, 0) and not any(found.values()):
        return True
    expected = {table.name: {column.name for column in table.columns} for table in TABLES.tables.values()}
    return (application, version, found) == (APPLICATION_ID, SCHEMA_VERSION, expected)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with explained("remove", path):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
