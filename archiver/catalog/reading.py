"""The row of one archive: a few of its records, decoded as far as the catalogue needs them. Nothing in them is trusted.

Whole records are checked by `archiver verify`; here ten thousand are to be read in a second, so that msgspec decodes
only some fields. What does not fit is told in the column `problem`, and the rest is kept.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from archiver import layout
from archiver.archive.documents import MAXIMAL_DOCUMENT_BYTES, require_few_values
from archiver.archive.outcome import build_history
from archiver.archive.phases import gather_phases
from archiver.archive.run import name_of
from archiver.archive.status import status_of
from archiver.catalog.columns import COLUMNS
from archiver.errors import ArchiverError
from archiver.naming import FOLDER_SUFFIX
from archiver.records.base import FORMAT_VERSION, NON_FINITE
from archiver.storage.beneath import OPEN_FOLDER
from archiver.storage.journal import Journal
from archiver.storage.reading import read_beneath

Value = str | int | float | bool | None
Cells = tuple[list[Value], dict[str, float | None]]
"""Of one run: the values of `NAMES`, and the metrics."""
NAMES = tuple(column.name for column in COLUMNS)
T = TypeVar("T")
MAXIMAL_TEXT = 1000
"""Longer texts are cut: they are shown in tables."""
MAXIMAL_METRICS = 200
"""Of one run."""
_INFINITY = float("inf")
_LARGEST = 2**63 - 1
"""What SQLite has as a whole number."""
_TEXTS = itemgetter(*(place for place, column in enumerate(COLUMNS) if column.kind in ("text", "time")))
_WHOLES = itemgetter(*(place for place, column in enumerate(COLUMNS) if column.kind == "whole"))
_TIME_LENGTH = len("2026-11-21T08:00:00.000000Z")


_OF_RUN = (
    "name", "condition", "architecture", "config", "version", "created", "archiver_version", "host", "command",
    "group", "tags",
)  # fmt: skip
_OF_RESULTS = (
    "status", "stop_reason", "exception", "ended", "training_seconds", "phase_count", "epoch_count", "monitor",
    "best_epoch", "best_value", "weights_digest", "best_weights_digest", "initial_weights_digest", "parents",
    "peak_rss_bytes", "peak_gpu_bytes", "highest_cpu_celsius", "highest_gpu_celsius", "memory_alerts",
    "cooling_seconds",
)  # fmt: skip
_FOUND = (*_OF_RUN, *_OF_RESULTS, "is_sealed", "problem", "path")
_IN_ORDER = itemgetter(*(_FOUND.index(name) for name in NAMES))
"""From values as they are found to the order of `NAMES`: a dictionary for each run takes as long as opening a file."""
_NOTHING_OF_RUN = (None,) * (len(_OF_RUN) - 1)
"""Behind the name."""


@dataclass(slots=True)
class _Row:
    """What is found of a run."""

    run: tuple[Any, ...]
    """Values of `_OF_RUN`."""
    results: tuple[Any, ...] = (None,) * len(_OF_RESULTS)
    """Values of `_OF_RESULTS`."""
    is_sealed: bool | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    """By name, test metrics as `test_...`, logged numbers by their own; None: NaN."""


class _Part(msgspec.Struct, gc=False):
    """A piece of a record; fields that are not named are passed over."""


class _Name(_Part):
    name: str
    condition: str | None = None
    architecture: str | None = None
    config: str | None = None
    version: int = 1


class _Process(_Part):
    host: str


class _RunRecord(_Part):
    format_version: int
    name: _Name
    created: str
    archiver_version: str
    process: _Process
    command: dict[str, Any]
    group: str | None = None
    tags: tuple[str, ...] = ()


class _Parent(_Part):
    run: str


class _BestEpoch(_Part):
    """All of it is missing where it is not available."""

    monitor: str | None = None
    epoch: int | None = None
    value: float | str | None = None
    weights_digest: Any = None


class _Peaks(_Part):
    rss_bytes: int | None = None
    gpu_bytes: int | None = None
    cpu_celsius: float | str | None = None
    gpu_celsius: float | str | None = None
    memory_alert_count: int | None = None
    cooling_seconds: float | str | None = None


class _Exception(_Part):
    type: str | None = None


class _Test(_Part):
    metrics: Any = None


class _Results(_Part):
    format_version: int
    status: str
    stop_reason: str | None
    exception: _Exception | None
    ended: str
    training_seconds: float | str
    phase_count: int
    epoch_count: int
    final_metrics: dict[str, float | str]
    best_epoch: _BestEpoch
    weights_digest: Any
    initial_weights_digest: Any
    peaks: _Peaks
    test: _Test
    logged: dict[str, Any] = {}
    parents: tuple[_Parent, ...] = ()


_RUN = msgspec.json.Decoder(_RunRecord)
_RESULTS = msgspec.json.Decoder(_Results)


def read_row(folder: Path | str) -> Cells:
    """The row of the archive in a folder, as far as it can be read. Never raises for what stands in it.

    Args:
        folder: of the archive; not a link.
    """
    problems: list[str] = []
    name = os.path.basename(folder).removesuffix(FOLDER_SUFFIX)
    row = _Row((name, *_NOTHING_OF_RUN))
    if not _add_records(row, os.fspath(folder), name, problems):
        _add_journal(row, Path(folder), problems)
    metrics = row.metrics
    if len(metrics) > MAXIMAL_METRICS or max(map(len, metrics), default=0) > MAXIMAL_TEXT:
        metrics = {name[:MAXIMAL_TEXT]: metrics[name] for name in list(metrics)[:MAXIMAL_METRICS]}
    found = (*row.run, *row.results, row.is_sealed, "; ".join(problems) or None, None)
    return _plain_all([*_IN_ORDER(found)]), metrics


def _plain_all(values: list[Any]) -> list[Value]:
    """As `plain` makes them; of nearly all runs nothing is to be changed, which is seen at once."""
    try:
        texts = "".join([text for text in _TEXTS(values) if text is not None])
        largest = max(map(abs, filter(None, _WHOLES(values))), default=0)
        is_plain = texts.isascii() and len(texts) <= MAXIMAL_TEXT and largest <= _LARGEST
    except TypeError:  # something else stands where a text or a number is expected
        is_plain = False
    return values if is_plain else [value if value is None else plain(value) for value in values]


def _add_records(row: _Row, folder: str, name: str, problems: list[str]) -> bool:
    """What the records say; whether the results are there, which are those of an archive that is sealed."""
    try:
        root = os.open(folder, OPEN_FOLDER)
    except OSError as error:
        problems.append(f"cannot open {folder}: {error.strerror}")
        return False
    try:
        run = _read(root, layout.RUN.path(name), _RUN, problems)
        if run is None and (own := name_of(Path(folder))) != name:  # somebody has renamed the folder
            problems.clear()
            return _add_records(row, folder, own, problems)
        if run is not None:
            row.run = _of_run(run)
        row.is_sealed = _is_sealed(root)
        results = _read(root, layout.RESULTS.path(name), _RESULTS, problems) if row.is_sealed else None
    finally:
        os.close(root)
    if results is None:
        return False
    row.results = _of_results(results)
    row.metrics = _metrics(results)
    return True


def _is_sealed(root: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(layout.MANIFEST_BLAKE3.pattern, dir_fd=root, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _read(root: int, path: str, decoder: msgspec.json.Decoder[T], problems: list[str]) -> T | None:
    """Some fields of a record, or None and why it could not be read."""
    try:
        data = read_beneath(root, path, MAXIMAL_DOCUMENT_BYTES)
        require_few_values(data, path)
        record = decoder.decode(data)
    except FileNotFoundError:
        if decoder is _RUN:
            problems.append(f"{path}: missing")
        return None
    except (OSError, ArchiverError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        problems.append(f"{path}: {error}")
        return None
    version = record.format_version  # type: ignore[attr-defined]
    if version != FORMAT_VERSION:
        problems.append(f"{path}: format version {version}, expected {FORMAT_VERSION}")
        return None
    return record


def _of_run(run: _RunRecord) -> tuple[Any, ...]:
    target, arguments, name = run.command.get("target"), run.command.get("arguments"), run.name
    parts = [target, *(arguments if isinstance(arguments, list) else [])]
    return (
        name.name, name.condition, name.architecture, name.config, name.version, _time(run.created),
        run.archiver_version, run.process.host, " ".join([str(part) for part in parts if part is not None]) or None,
        run.group, ", ".join(run.tags) or None,
    )  # fmt: skip


def _of_results(results: _Results) -> tuple[Any, ...]:
    best, peaks, exception = results.best_epoch, results.peaks, results.exception
    return (
        results.status,
        results.stop_reason,
        None if exception is None else exception.type,
        _time(results.ended),
        _real(results.training_seconds),
        results.phase_count,
        results.epoch_count,
        best.monitor,
        best.epoch,
        _real(best.value),
        results.weights_digest,
        best.weights_digest,
        results.initial_weights_digest,
        ", ".join([parent.run for parent in results.parents]) or None,
        peaks.rss_bytes,
        peaks.gpu_bytes,
        _real(peaks.cpu_celsius),
        _real(peaks.gpu_celsius),
        peaks.memory_alert_count,
        _real(peaks.cooling_seconds) or None,
    )


def _metrics(results: _Results) -> dict[str, float | None]:
    tested = results.test.metrics
    found: dict[str, float | None] = {}
    groups = (
        ("", results.logged),
        ("test_", tested if isinstance(tested, dict) else {}),
        ("", results.final_metrics),
    )
    for prefix, group in groups:
        for name, value in group.items():
            number = _real(value)
            if number is not None or value in NON_FINITE:
                found[prefix + name] = number
    return found


def _add_journal(row: _Row, folder: Path, problems: list[str]) -> None:
    """A run that is not sealed is told by its journal alone."""
    try:
        contents = Journal(folder).read()
        status = status_of(contents, sealed=False)
        history = build_history(contents)
        ended = [phase.ended.utc for phase in gather_phases(contents) if phase.ended is not None]
    except (OSError, ArchiverError) as error:
        problems.append(str(error))
        row.results = _results_of({"status": "unreadable"})
        return
    row.results = _results_of({
        "status": status.status,
        "stop_reason": status.stop_reason,
        "exception": status.exception.type if status.exception else None,
        "ended": time_text(ended[-1]) if ended and status.status != "running" else None,
        "phase_count": len(history.phases),
        "epoch_count": sum(len(phase.epochs) for phase in history.phases),
        "training_seconds": float(sum(seconds for phase in history.phases for seconds in phase.epoch_seconds)),
    })  # fmt: skip
    for phase in history.phases:
        row.metrics |= {name: _real(values[-1]) for name, values in phase.metrics.items() if values}


def _results_of(found: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(map(found.get, _OF_RESULTS))


def time_text(moment: datetime) -> str:
    """A moment as the catalogue has it: in UTC, all texts of one length, so that their order is that of time."""
    # Not strftime, which takes ten times as long, and cuts leading zeros off years.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _time(text: str) -> str | None:
    try:
        moment = datetime.fromisoformat(text)
        is_ready = len(text) == _TIME_LENGTH and (text[10], text[19], text[26]) == ("T", ".", "Z") and text[5] != "W"
        return text if is_ready else time_text(moment)
    except (ValueError, OverflowError):
        return None


def _real(value: Any) -> float | None:
    """A finite number, or nothing."""
    if value.__class__ is float:  # nearly all are
        return value if -_INFINITY < value < _INFINITY else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < _INFINITY else None


def plain(value: Any) -> Value:
    """What a database takes: an unavailable value is none."""
    if isinstance(value, str):
        # A folder's name may be no Unicode, which SQLite does not take.
        if len(value) <= MAXIMAL_TEXT and value.isascii():
            return value
        return value[:MAXIMAL_TEXT].encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else None
    return value if isinstance(value, float) and abs(value) < _INFINITY else None
