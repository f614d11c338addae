"""`verify --recursive`: all archives of a store, several at once; what was verified can be noted, and gone on with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from archiver.archive.findings import Finding, VerifyReport
from archiver.archive.verifying import verify
from archiver.errors import RecordError
from archiver.jobs import Failure, run_jobs
from archiver.storage.files import explained


@dataclass(frozen=True)
class Verified:
    """What came of one archive of a store."""

    path: str
    report: VerifyReport | None
    failure: Failure | None
    is_from_before: bool = False
    """It stood in the file of results already."""

    @property
    def is_whole(self) -> bool:
        """Whether it was verified, without a finding."""
        return self.report is not None and self.report.is_whole

    def as_json(self) -> dict[str, Any]:
        """As a line of the file of results."""
        if self.report is not None:
            return self.report.as_json()
        assert self.failure is not None
        return {"path": self.path, "error": self.failure.message, "exit_code": self.failure.exit_code}


def verify_store(
    paths: Sequence[str | os.PathLike[str]],
    *,
    jobs: int | None = None,
    cluster: str | None = None,
    results: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Iterator[Verified]:
    """Verify archives, several at once; each is told as soon as it is done, in any order.

    Args:
        paths: of the archives, see `archiver.archive.run.find_archives`.
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
    texts = [os.fspath(path) for path in paths]
    if results is None:
        yield from _verify_all(texts, jobs, cluster, options)
        return
    file = Path(results)
    with explained("write", file), file.open("a+b") as opened:
        before = {each.path: each for each in _read_results(opened, str(file)) if each.report is not None}
        yield from (before[text] for text in texts if text in before)
        for each in _verify_all([text for text in texts if text not in before], jobs, cluster, options):
            opened.write(json.dumps(each.as_json()).encode() + b"\n")
            opened.flush()
            yield each


def _verify_all(paths: list[str], jobs: int | None, cluster: str | None, options: dict[str, Any]) -> Iterator[Verified]:
    for outcome in run_jobs(partial(_verify_one, options), paths, jobs=jobs, cluster=cluster):
        yield Verified(outcome.item, outcome.result, outcome.failure)


def _verify_one(options: dict[str, Any], path: str) -> VerifyReport:
    return verify(path, **options)


def _read_results(file: IO[bytes], name: str) -> Iterator[Verified]:
    """The lines that are whole; one that was cut short is cut off."""
    file.seek(0)
    end = 0
    for number, line in enumerate(file):
        if not line.endswith(b"\n"):
            break
        end += len(line)
        try:
            yield _parsed(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RecordError(
                f"{name}#/{number}: received {line[:60]!r}, expected a line as `archiver verify --results` writes it; "
                "name another file"
            ) from error
    file.truncate(end)


def _parsed(line: dict[str, Any]) -> Verified:
    if "error" in line:
        return Verified(line["path"], None, Failure(line["error"], int(line["exit_code"])), is_from_before=True)
    path, fields = line["path"], {name: value for name, value in line.items() if name != "is_whole"}
    for name in ("findings", "information"):
        fields[name] = tuple(Finding(**finding) for finding in fields[name])
    return Verified(
        path, VerifyReport(**fields | {"algorithms": tuple(fields["algorithms"])}), None, is_from_before=True
    )
