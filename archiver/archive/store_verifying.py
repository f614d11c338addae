"""`verify --recursive`: all archives of a store, several at once; what was verified can be noted, and gone on with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from archiver.archive.findings import Finding, VerifyReport
from archiver.archive.verifying import verify
from archiver.jobs import Outcome
from archiver.storage.job_results import run_noted_jobs


def verify_store(
    paths: Sequence[str | os.PathLike[str]],
    verify_one: Callable[..., VerifyReport] = verify,
    *,
    jobs: int | None = None,
    cluster: str | None = None,
    results: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Iterator[Outcome[str, VerifyReport]]:
    """Verify archives, several at once; each is told as soon as it is done, in any order.

    Args:
        paths: of the archives, see `archiver.archive.run.find_archives`.
        verify_one: another function that verifies one, at the top of a module: `archiver.verify` takes URLs, too.
        jobs: see `archiver.jobs.run_jobs`.
        cluster: see `archiver.jobs.run_jobs`; its workers must see the archives at the same paths.
        results: file that gets a line of JSON for each archive. Those that have a report there are not verified
            again: an interrupted verify goes on, and what could not be verified is tried again. Another file begins
            anew.
        options: of `archiver.verify`: algorithm, deep, secrets.

    Raises:
        RecordError: `results` is another file.
        StorageError: `results` cannot be written; no scheduler can be reached.
        ArgumentError, MissingExtraError: see `archiver.jobs.run_jobs`.
    """
    return run_noted_jobs(
        partial(_verify, verify_one, options),
        [os.fspath(path) for path in paths],
        results,
        encode=VerifyReport.as_json,
        decode=_parsed,
        jobs=jobs,
        cluster=cluster,
    )


def _verify(verify_one: Callable[..., VerifyReport], options: dict[str, Any], path: str) -> VerifyReport:
    return verify_one(path, **options)


def _parsed(line: dict[str, Any]) -> VerifyReport:
    fields = {name: value for name, value in line.items() if name != "is_whole"}
    fields["algorithms"] = tuple(fields["algorithms"])
    for name in ("findings", "information"):
        fields[name] = tuple(Finding(**finding) for finding in fields[name])
    return VerifyReport(**fields)
