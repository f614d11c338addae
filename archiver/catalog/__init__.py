"""The rebuildable database of many runs.

- `columns`: what is known of a run, by name, kind and unit.
- `reading`: the row of one archive, from a few of its records.
- `parallel`: the rows of many archives, by several processes.
- `ensembles`: the rows of ensembles, from their journals.
- `database`: the file, its tables, and where it lies.
- `indexing`: bringing it up to date with the archives.
- `expressions`: the language of `--where`.
- `querying`: expressions, sorting and columns as SQL.
- `store`: `open_store`, which has all of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archiver.errors import MissingExtraError

if TYPE_CHECKING:
    from archiver.catalog.store import Store

DEFAULT_SORT = ("-created",)
"""Of runs: the youngest first."""


def open_store(
    path: str | os.PathLike[str], *, refreshed: bool = True, storage_options: Mapping[str, Any] | None = None
) -> Store:
    """A folder of archives, or a store elsewhere, and what its catalogue knows of them.

    Args:
        path: the folder, or a URL such as `s3://bucket/runs`.
        refreshed: bring the catalogue up to date first; False: what it had.
        storage_options: for a URL: what fsspec's file system is given; kept in memory only.

    Raises:
        ArgumentError: there is no such folder, or the URL cannot be used.
        MissingExtraError: SQLAlchemy or msgspec is not installed, or the library of a URL's scheme.
        RemoteError: the store cannot be reached.
        StorageError: the catalogue can be written nowhere.
    """
    try:
        from archiver.catalog.store import Store
    except ModuleNotFoundError as error:
        raise MissingExtraError(f'The catalogue needs {error.name}: pip install "keras-archiver[catalog]".') from error
    return Store(path, refreshed=refreshed, storage_options=storage_options)
