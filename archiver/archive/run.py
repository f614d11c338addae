"""`Run`: an archive on the disk, read and written through the table of `archiver.layout`."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from archiver import layout
from archiver.archive.documents import MAXIMAL_DOCUMENT_BYTES, document_bytes, parse_document
from archiver.archive.status import Status, status_of
from archiver.errors import ArchiverError, NotAnArchiveError, RecordError, StorageError
from archiver.layout import ArchiveFile, RecordFile
from archiver.naming import FOLDER_SUFFIX, MAXIMAL_NAME_LENGTH
from archiver.records.base import Record
from archiver.storage import files
from archiver.storage.bagit import DECLARATION_NAME
from archiver.storage.beneath import MAXIMAL_DEPTH
from archiver.storage.digests import sha256_of
from archiver.storage.journal import JOURNAL_NAME, Journal, events_named, parse_journal
from archiver.storage.manifests import MANIFEST_NAMES, MAXIMAL_MANIFEST_BYTES
from archiver.storage.reading import read_below, read_head

R = TypeVar("R", bound=Record)

NAMING_BYTES = 1 << 16
"""At the beginning of the journal, in which the event `created` is looked for."""

_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{MAXIMAL_NAME_LENGTH - 1}}}")


@dataclass(frozen=True)
class Run:
    """A run's archive: its folder and its name. Opening one reads nothing else."""

    path: Path
    name: str

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """The archive at `path`.

        Raises:
            NotAnArchiveError: there is none.
            StorageError: this user may not look into the folder.
        """
        folder = Path(path)
        if not folder.is_dir():
            what = "a file" if folder.exists() else "nothing"
            raise NotAnArchiveError(f"Received {str(path)!r}, where there is {what}. Expected the folder of a run.")
        if is_bag(folder):
            raise NotAnArchiveError(
                f"Received {str(path)!r}, a bag (BagIt). Expected the folder of a run: it lies in the bag's data/. "
                "(`archiver verify` and `archiver show` take the bag as it is.)"
            )
        if not os.access(folder, os.R_OK | os.X_OK):
            raise StorageError(errno.EACCES, f"cannot look into {folder}: no permission; chmod u+rx, or ask its owner")
        if not is_archive(folder):
            inside = [found.name for found in find_archives(folder)]
            hint = f" It holds {len(inside)} runs: {', '.join(inside[:5])}." if inside else ""
            raise NotAnArchiveError(
                f"Received {str(path)!r}, a folder without {JOURNAL_NAME} or {layout.MANIFEST_BLAKE3.pattern}. "
                f"Expected the folder of a run (its name usually ends in '_models').{hint}"
            )
        return cls(folder, name_of(folder))

    def path_of(self, file: ArchiveFile) -> Path:
        """Where a file of the table lies in this archive."""
        return self.path / file.path(self.name)

    def has(self, file: ArchiveFile) -> bool:
        """Whether the file is there."""
        return self.path_of(file).is_file()

    def read(self, file: RecordFile[R]) -> R:
        """The record of a file of the table, typed.

        Raises:
            RecordError: it is missing or broken.
            UnsafeFileError: it is a link or no regular file, or too large to be a record.
            FormatVersionError: a newer version of archiver wrote it.
        """
        path = file.path(self.name)
        try:
            data = read_below(self.path, path, MAXIMAL_DOCUMENT_BYTES)
        except OSError as error:
            raise RecordError(f"{self.path / path}: {error.strerror or error}; expected {file.description}") from error
        return parse_document(data, file.record, str(self.path / path))

    def read_if_there(self, file: RecordFile[R]) -> R | None:
        """The record, or None where the file is missing."""
        return self.read(file) if self.has(file) else None

    def write(self, file: RecordFile[R], record: R) -> None:
        """Write the record whole or not at all, with its `$schema`.

        Raises:
            StorageError: the file system refused.
        """
        path = file.path(self.name)
        reference = layout.schema_reference(path, file.record.KIND)
        stamped = record.model_copy(update={"schema_reference": reference})
        files.write_bytes(self.path / path, document_bytes(stamped))

    @property
    def journal(self) -> Journal:
        """The journal, for reading."""
        return Journal(self.path)

    @property
    def seal_id(self) -> str | None:
        """SHA-256 of manifest-blake3.txt; None while the archive is not sealed."""
        try:
            return sha256_of(read_below(self.path, layout.MANIFEST_BLAKE3.pattern, MAXIMAL_MANIFEST_BYTES))
        except FileNotFoundError:
            return None

    @property
    def status(self) -> Status:
        """What became of the run, from its journal and manifests."""
        return status_of(self.journal.read(), sealed=self.has(layout.MANIFEST_BLAKE3))

    @property
    def status_text(self) -> str:
        """The status in one line for a reader, also where the journal cannot be read."""
        try:
            return self.status.describe()
        except ArchiverError as error:
            return f"unknown: {error}"


def is_archive(folder: Path) -> bool:
    """Whether the folder looks like an archive, whole or not."""
    is_one = any(os.path.lexists(folder / name) for name in (JOURNAL_NAME, *MANIFEST_NAMES.values()))
    return is_one and not is_bag(folder)


def is_bag(folder: Path) -> bool:
    """Whether the folder looks like a bag, which may hold an archive: its manifests are called as those of one."""
    return os.path.lexists(folder / DECLARATION_NAME) and not os.path.lexists(folder / JOURNAL_NAME)


def find_archives(path: Path) -> list[Path]:
    """The archive at `path`, or the archives directly in it and below it when it is a store; sorted by name.

    A bag stands for the archive in it. Links are not followed; folders that cannot be listed, are nested deeper than
    `MAXIMAL_DEPTH`, or were left by an interrupted export, are left out.
    """
    if not path.is_dir() or _stands_for_itself(path):
        return [path]
    found: list[Path] = []
    pending = [(path, 1)]
    while pending:
        folder, depth = pending.pop()
        if folder != path and _stands_for_itself(folder):
            found.append(folder)
        elif depth <= MAXIMAL_DEPTH:
            pending += [(child, depth + 1) for child in reversed(_folders_in(folder))]
    return found


def _stands_for_itself(folder: Path) -> bool:
    return is_archive(folder) or is_bag(folder)


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [folder / name for name in sorted(entry.name for entry in entries if _is_folder(entry))]
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False) and not entry.name.startswith(files.TEMPORARY_PREFIX)
    except OSError:
        return False


def name_of(folder: Path) -> str:
    """The run's name: from the journal's first event, since a reader may have renamed the folder."""
    try:
        head = parse_journal(read_head(folder, JOURNAL_NAME, NAMING_BYTES))
        created = next(events_named(head, "created"), None)
    except (ArchiverError, OSError):
        created = None
    name = created.details.get("name") if created else None
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    records = [path for path in _names(folder / "configs") if path.endswith("_run.json")]
    name = records[0] if len(records) == 1 else folder.resolve().name
    return name.removesuffix("_run.json").removesuffix(FOLDER_SUFFIX)


def _names(folder: Path) -> list[str]:
    try:
        return [] if folder.is_symlink() else os.listdir(folder)
    except OSError:
        return []
