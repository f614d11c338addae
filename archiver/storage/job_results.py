"""A file of results: a line of JSON for each item as soon as it is done, so that interrupted work can be gone on with.

A line is `{"item": ..., "result": ...}`, or `{"item": ..., "error": ..., "exit_code": ...}`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from archiver.errors import RecordError
from archiver.jobs import Failure, Outcome, run_jobs
from archiver.storage.files import explained

Result = TypeVar("Result")


def run_noted_jobs(
    function: Callable[[str], Result],
    items: Sequence[str],
    results: str | os.PathLike[str] | None,
    *,
    encode: Callable[[Result], Any],
    decode: Callable[[Any], Result],
    jobs: int | None = None,
    cluster: str | None = None,
) -> Iterator[Outcome[str, Result]]:
    """As `archiver.jobs.run_jobs`, and note each outcome in a file; those that have a result there are not done again.

    Args:
        function: see `run_jobs`.
        items: what it takes.
        results: the file; None: nothing is noted.
        encode: makes JSON values of a result.
        decode: makes a result of these; raises ValueError, TypeError or KeyError where they are none.
        jobs: see `run_jobs`.
        cluster: see `run_jobs`.

    Raises:
        RecordError: `results` is another file.
        StorageError: `results` cannot be written; no scheduler can be reached.
        ArgumentError, MissingExtraError: see `run_jobs`.
    """
    if results is None:
        yield from run_jobs(function, items, jobs=jobs, cluster=cluster)
        return
    file = Path(results)
    with explained("write", file), file.open("a+b") as opened:
        before = {each.item: each for each in _read(opened, str(file), decode) if each.failure is None}
        yield from (before[item] for item in items if item in before)
        left = [item for item in items if item not in before]
        for outcome in run_jobs(function, left, jobs=jobs, cluster=cluster):
            opened.write(json.dumps(_line(outcome, encode)).encode() + b"\n")
            opened.flush()
            yield outcome


def _line(outcome: Outcome[str, Result], encode: Callable[[Result], Any]) -> dict[str, Any]:
    if outcome.failure is not None:
        return {"item": outcome.item, "error": outcome.failure.message, "exit_code": outcome.failure.exit_code}
    assert outcome.result is not None
    return {"item": outcome.item, "result": encode(outcome.result)}


def _read(file: IO[bytes], name: str, decode: Callable[[Any], Result]) -> Iterator[Outcome[str, Result]]:
    """The lines that are whole; one that was cut short is cut off."""
    file.seek(0)
    end = 0
    for number, line in enumerate(file):
        if not line.endswith(b"\n"):
            break
        end += len(line)
        try:
            yield _parsed(json.loads(line), decode)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RecordError(
                f"{name}#/{number}: received {line[:60]!r}, expected a line that archiver noted; name another file"
            ) from error
    file.truncate(end)


def _parsed(line: dict[str, Any], decode: Callable[[Any], Result]) -> Outcome[str, Result]:
    item = str(line["item"])
    if "error" in line:
        return Outcome(item, failure=Failure(str(line["error"]), int(line["exit_code"])), is_from_before=True)
    return Outcome(item, decode(line["result"]), is_from_before=True)
