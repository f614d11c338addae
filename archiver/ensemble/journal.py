"""The journal of an ensemble, `ensemble.jsonl`: appended a line at a time, and all that a search goes on from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from archiver.data.lines import append, cut, whole_lines
from archiver.errors import ArchiverError, RecordError, RunStateError
from archiver.records.ensemble import EnsembleBegan, EnsembleCompleted, EnsembleIteration
from archiver.storage.files import explained
from archiver.storage.locks import try_lock

FOLDER_SUFFIX = "_ensemble"
JOURNAL_NAME = "ensemble.jsonl"
MAXIMAL_JOURNAL_BYTES = 256 << 20

_LINE: TypeAdapter[EnsembleBegan | EnsembleIteration | EnsembleCompleted] = TypeAdapter(
    EnsembleBegan | EnsembleIteration | EnsembleCompleted
)


@dataclass
class EnsembleContents:
    """What the lines say."""

    began: EnsembleBegan | None = None
    iterations: list[EnsembleIteration] = field(default_factory=list)
    completed: EnsembleCompleted | None = None
    """Of the last search; None: it has not come to its end, or more was tried since."""


def read_ensemble(folder: Path) -> EnsembleContents:
    """What the journal of an ensemble says; a last line that was cut short does not count.

    Raises:
        RecordError: a line is none of ours, or out of its place.
        StorageError: it cannot be read.
    """
    contents, path = EnsembleContents(), folder / JOURNAL_NAME
    if path.exists() and path.stat().st_size > MAXIMAL_JOURNAL_BYTES:
        raise RecordError(f"{path}: {path.stat().st_size:,} bytes, expected at most {MAXIMAL_JOURNAL_BYTES:,}")
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            found = _LINE.validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[-1]
            pointer = "/".join(str(part) for part in first["loc"][1:])
            raise RecordError(f"{path}#line {number}/{pointer}: {first['msg']}") from error
        _add(contents, found, f"{path}#line {number}")
    return contents


def _add(contents: EnsembleContents, line: EnsembleBegan | EnsembleIteration | EnsembleCompleted, place: str) -> None:
    if (contents.began is None) != isinstance(line, EnsembleBegan):
        raise RecordError(
            f"{place}: received the kind {line.kind!r}, expected the first line, and no other, to be 'began'"
        )
    if isinstance(line, EnsembleBegan):
        contents.began = line
    elif isinstance(line, EnsembleCompleted):
        contents.completed = line
    else:
        if line.iteration != len(contents.iterations):
            raise RecordError(f"{place}/iteration: received {line.iteration}, expected {len(contents.iterations)}")
        contents.iterations.append(line)
        contents.completed = None


def earlier_ensembles(folder: Path) -> Iterator[EnsembleContents]:
    """What the journals of the ensembles beside this one say; those that cannot be read are passed over."""
    for other in sorted(folder.parent.glob(f"*{FOLDER_SUFFIX}/{JOURNAL_NAME}")):
        if other.parent != folder:
            try:
                yield read_ensemble(other.parent)
            except (ArchiverError, OSError):
                continue


class EnsembleJournal:
    """The journal, open for appending by one process at a time.

    Raises:
        RunStateError: another process works on this ensemble.
        RecordError: its lines cannot be read.
        StorageError: the file system refused.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_NAME
        with explained("write", self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._lock()
            self.contents = read_ensemble(folder)
            with explained("mend", self.path):
                cut(self._descriptor, sum(map(len, whole_lines(self.path))))
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        if not try_lock(self._descriptor):
            raise RunStateError(f"{self.path.parent}: another process works on this ensemble; wait for it.")

    def add(self, line: EnsembleBegan | EnsembleIteration | EnsembleCompleted) -> None:
        """Append a line; it is on the disk when this returns.

        Raises:
            StorageError: the file system refused.
        """
        with explained("append to", self.path):
            append(self._descriptor, line)
            os.fdatasync(self._descriptor)
        _add(self.contents, line, str(self.path))

    def close(self) -> None:
        """Let another process work on it."""
        os.close(self._descriptor)
