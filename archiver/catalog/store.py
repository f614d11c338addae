"""`Store`: a folder of archives, and what its catalogue knows of them."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from archiver.archive.run import is_archive
from archiver.catalog import DEFAULT_SORT
from archiver.catalog.columns import COLUMNS, ENSEMBLE_LISTED, LISTED, TableName
from archiver.catalog.database import (
    ENSEMBLES,
    METRICS,
    RUNS,
    cached_catalogue_path,
    catalogue_path,
    open_database,
    told,
)
from archiver.catalog.indexing import IndexResult, refresh
from archiver.catalog.querying import names, statement
from archiver.errors import ArgumentError, MissingExtraError
from archiver.remote.urls import Remote, is_url, open_remote

# Name by name through the index: to ask for distinct ones reads every row.
_METRIC_NAMES = """
WITH RECURSIVE found(name) AS (
  SELECT min(name) FROM metrics
  UNION ALL
  SELECT (SELECT min(name) FROM metrics WHERE name > found.name) FROM found WHERE found.name IS NOT NULL
)
SELECT name FROM found WHERE name IS NOT NULL
"""


class Store:
    """A folder of archives, whose catalogue is brought up to date when it is opened.

    Args:
        path: the folder, or a URL.
        refreshed: whether to look for changes; False: what the catalogue had.
        storage_options: for a URL: what fsspec's file system is given; kept in memory only.

    Raises:
        ArgumentError: there is no such folder, or the URL cannot be used.
        RemoteError: the store cannot be reached.
        StorageError: the catalogue can be written nowhere.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        refreshed: bool = True,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.place: Path | Remote = self.path
        """What is looked through."""
        if isinstance(path, str) and is_url(path):
            self.place = open_remote(path, storage_options)
            self.catalogue_path = cached_catalogue_path(self.place.url)
        elif not self.path.is_dir():
            what = "a file" if self.path.exists() else "nothing"
            raise ArgumentError(f"Received {self.path}, where there is {what}. Expected a folder that holds archives.")
        elif is_archive(self.path):
            raise ArgumentError(
                f"Received {self.path}, an archive. Expected a folder that holds archives, such as the one it lies in."
            )
        else:
            self.catalogue_path = catalogue_path(self.path)
        self._engine = open_database(self.catalogue_path)
        self._closing = weakref.finalize(self, self._engine.dispose)
        if refreshed:
            self.refresh()

    def close(self) -> None:
        """Close the database; the next call opens it again."""
        self._engine.dispose()

    def refresh(self, *, everything: bool = False, cluster: str | None = None) -> IndexResult:
        """Read the archives that are new or have changed; `everything`: all of them.

        Args:
            everything: read those that have not changed, too.
            cluster: address of a Dask scheduler, whose workers read them; they see the store at the same path.
        """
        return refresh(self._engine, self.place, everything=everything, cluster=cluster)

    def metric_names(self) -> list[str]:
        """The names of all metrics, sorted."""
        with told(self.catalogue_path), self._engine.connect() as connection:
            return _metric_names(connection)

    def names(self, table: TableName = "runs") -> list[tuple[str, str, str]]:
        """Name, kind and description of everything that can be asked for."""
        return names(table, self.metric_names() if table == "runs" else ())

    def runs(
        self,
        where: str | None = None,
        *,
        sort: Sequence[str] = DEFAULT_SORT,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """The runs, each a dict by name of column or metric.

        Args:
            where: an expression such as `val_accuracy > 0.9 and peak_rss < 4GB`.
            sort: names; with a minus the largest first.
            columns: names; None: the usual ones.
            limit: at most so many.

        Raises:
            ArgumentError: no such expression, column or metric.
        """
        named = LISTED if columns is None else columns
        with told(self.catalogue_path), self._engine.connect() as connection:
            names = tuple(_metric_names(connection))
            wanted = statement("runs", names, where=where, sort=tuple(sort), columns=tuple(named), limit=limit)
            return _rows(connection, wanted)

    def _rows(self, wanted: sql.Select[Any]) -> list[dict[str, Any]]:
        with told(self.catalogue_path), self._engine.connect() as connection:
            return _rows(connection, wanted)

    def ensemble_log(
        self,
        where: str | None = None,
        *,
        sort: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """The iterations of all ensembles, each a dict; the arguments are those of `runs`, without metrics.

        Raises:
            ArgumentError: no such expression or column.
        """
        named = ENSEMBLE_LISTED if columns is None else columns
        return self._rows(
            statement("ensemble_log", (), where=where, sort=tuple(sort), columns=tuple(named), limit=limit)
        )

    def ensembles(self) -> list[dict[str, Any]]:
        """The ensembles, each a dict with `path`, `name`, `is_complete`, `problem`."""
        columns = (ENSEMBLES.c.path, ENSEMBLES.c.name, ENSEMBLES.c.is_complete, ENSEMBLES.c.problem)
        return self._rows(sql.select(*columns).order_by(ENSEMBLES.c.path))

    def count(self) -> int:
        """How many runs there are."""
        with told(self.catalogue_path), self._engine.connect() as connection:
            return int(connection.execute(sql.select(sql.func.count()).select_from(RUNS)).scalar_one())

    def find(self, path: str) -> dict[str, Any] | None:
        """All columns of the run at a path of the store; None: there is none."""
        columns = [RUNS.c[column.name] for column in COLUMNS]
        found = self._rows(sql.select(*columns).where(RUNS.c.path == path))
        return found[0] if found else None

    def metrics_of(self, path: str) -> dict[str, float | None]:
        """The metrics of a run, by name; None: NaN or infinite."""
        wanted = sql.select(METRICS.c.name, METRICS.c.value).join_from(RUNS, METRICS, METRICS.c.run_id == RUNS.c.run_id)
        return {row["name"]: row["value"] for row in self._rows(wanted.where(RUNS.c.path == path))}

    def relatives(self, path: str) -> dict[str, list[dict[str, Any]]]:
        """The runs that a run descends from, and those that descend from it, by their weights.

        Args:
            path: of the run, from the store.

        Returns:
            `parents` and `children`, each run a dict with `path` and `name`.
        """
        own = sql.select(RUNS.c.weights_digest, RUNS.c.best_weights_digest, RUNS.c.initial_weights_digest)
        found = self._rows(own.where(RUNS.c.path == path))
        if not found:
            return {"parents": [], "children": []}
        final, best, initial = found[0].values()
        other = sql.select(RUNS.c.path, RUNS.c.name).where(RUNS.c.path != path).order_by(RUNS.c.path)
        parents = sql.or_(RUNS.c.weights_digest == initial, RUNS.c.best_weights_digest == initial)
        children = sql.and_(
            RUNS.c.initial_weights_digest.in_([each for each in (final, best) if each is not None and each != initial]),
            RUNS.c.initial_weights_digest != RUNS.c.weights_digest,
        )
        return {
            "parents": self._rows(other.where(parents)) if initial is not None else [],
            "children": self._rows(other.where(children)),
        }

    def to_dataframe(self, where: str | None = None, *, sort: Sequence[str] = DEFAULT_SORT) -> Any:
        """All columns and metrics of the runs, as a `pandas.DataFrame`; times are UTC.

        Raises:
            ArgumentError: no such expression, column or metric.
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtraError("pandas is not installed. pip install 'keras-archiver[dataframe]'") from error
        columns = [column.name for column in COLUMNS]
        frame = pd.DataFrame(self.runs(where, sort=sort, columns=columns), columns=columns)
        for column in COLUMNS:
            if column.kind == "time":
                frame[column.name] = pd.to_datetime(frame[column.name], utc=True, format="ISO8601")
        metrics = pd.DataFrame(self._metric_rows(), columns=["path", "name", "value"])
        wide = metrics.pivot(index="path", columns="name", values="value")
        wide = wide[[name for name in wide.columns if name not in columns]]  # a column goes before a metric of its name
        return frame.merge(wide, how="left", left_on="path", right_index=True)

    def _metric_rows(self) -> Iterator[tuple[Any, ...]]:
        wanted = sql.select(RUNS.c.path, METRICS.c.name, METRICS.c.value).join_from(
            RUNS, METRICS, METRICS.c.run_id == RUNS.c.run_id
        )
        with told(self.catalogue_path), self._engine.connect() as connection:
            yield from (tuple(row) for row in connection.execute(wanted))


def _metric_names(connection: sql.Connection) -> list[str]:
    return [name for (name,) in connection.exec_driver_sql(_METRIC_NAMES)]


def _rows(connection: sql.Connection, wanted: sql.Select[Any]) -> list[dict[str, Any]]:
    result = connection.execute(wanted)
    names = tuple(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result.all()]
