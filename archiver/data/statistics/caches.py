"""Statistics of many window caches, several at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from archiver.data.cache.window_cache import WindowCache
from archiver.data.statistics.one_pass import SHARES, data_statistics
from archiver.jobs import Outcome
from archiver.storage.job_results import run_noted_jobs


def cache_statistics(
    paths: Sequence[str | os.PathLike[str]],
    *,
    quantiles: Sequence[float] = SHARES,
    jobs: int | None = None,
    cluster: str | None = None,
    results: str | os.PathLike[str] | None = None,
) -> Iterator[Outcome[str, dict[str, Any]]]:
    """The statistics of each cache, as soon as they are there, in any order.

    Args:
        paths: of the caches' HDF5 files.
        quantiles: see `data_statistics`.
        jobs: processes of this machine; 1: this one alone; None: one per core.
        cluster: address of a Dask scheduler, whose workers see the caches at the same paths.
        results: file that gets a line of JSON for each cache; those that have one are not read again.

    Returns:
        Outcomes; the result of one is `DataStatistics.described()`, JSON values. A cache that cannot be read has a
        failure in its place, and the others are read.

    Raises:
        ArgumentError, MissingExtraError: see `archiver.jobs.run_jobs`.
        RecordError, StorageError: see `archiver.storage.job_results.run_noted_jobs`.
    """
    return run_noted_jobs(
        partial(_statistics_of, tuple(quantiles)),
        [os.fspath(path) for path in paths],
        results,
        encode=dict,
        decode=dict,
        jobs=jobs,
        cluster=cluster,
    )


def _statistics_of(quantiles: tuple[float, ...], path: str) -> dict[str, Any]:
    return data_statistics(WindowCache(path), quantiles=quantiles).described()
