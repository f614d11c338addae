"""The archives of a store elsewhere, for its catalogue: found and told apart by one listing, read by a few files each.

Of an archive that is new or has changed, the run's record and its results are fetched (without results, its journal),
those of many archives at the same time; nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from archiver import layout
from archiver.archive.documents import MAXIMAL_DOCUMENT_BYTES
from archiver.catalog.parallel import Read
from archiver.catalog.reading import read_row
from archiver.catalog.scanning import MAXIMAL_DEPTH, Scan, catalogue_text
from archiver.ensemble.journal import FOLDER_SUFFIX, JOURNAL_NAME
from archiver.errors import ArgumentError
from archiver.naming import FOLDER_SUFFIX as RUN_SUFFIX
from archiver.remote.listing import Listing, RemoteEntry, archive_folders, list_remote
from archiver.remote.patience import PATIENT
from archiver.remote.ranges import pieces
from archiver.remote.urls import Remote
from archiver.storage import files
from archiver.storage.bagit import DECLARATION_NAME
from archiver.storage.hashing import in_threads
from archiver.storage.journal import MAXIMAL_JOURNAL_BYTES

RUNS_AT_ONCE = 64
THREADS = 16

_SEAL = layout.MANIFEST_BLAKE3.pattern
_JOURNAL = layout.JOURNAL.pattern


class RemoteScan(Scan):
    """One look through a store elsewhere; see `Scan`.

    Args:
        remote: the store.
        temporary: an empty folder of our own.
        known: as of `Scan`.
        everything: as of `Scan`.
    """

    def __init__(self, remote: Remote, temporary: Path, known: dict[str, str], *, everything: bool = False) -> None:
        super().__init__(known, everything=everything)
        self._remote, self._temporary = remote, temporary
        self._there = Listing({})

    def rows(self) -> Iterator[Read]:
        """The cells of each archive that is new or has changed. Journals of ensembles are in the temporary folder then.

        Raises:
            ArgumentError: there is nothing.
        RemoteError: the store cannot be reached, or refused.
        """
        self._there = list_remote(self._remote, PATIENT)
        if not self._there.files:
            raise ArgumentError(f"Received {self._remote.url}, where there is nothing. Expected a store of archives.")
        changed = self._changed_there()
        while paths := list(islice(changed, RUNS_AT_ONCE)):
            self._fetch(name for path in paths for name in self._needed(path))
            for path in paths:
                folder = self._temporary / path
                folder.mkdir(parents=True, exist_ok=True)
                if f"{path}/{_SEAL}" in self._there.files:
                    (folder / _SEAL).touch()  # that it is there is all that is asked
                yield path, read_row(str(folder))
                files.remove(folder)
        self._find_ensembles()

    def _changed_there(self) -> Iterator[str]:
        for path in archive_folders(self._there):
            is_bag = f"{path}/{DECLARATION_NAME}" in self._there.files and f"{path}/{_JOURNAL}" not in self._there.files
            if not path or is_bag or path.count("/") > MAXIMAL_DEPTH or self._is_hidden(path):
                continue
            text = catalogue_text(path)
            before = self.known.pop(text, None)
            stamp = self._stamp(path)
            if self._everything or stamp != before:
                self.found[path] = text, stamp
                yield path

    @staticmethod
    def _is_hidden(path: str) -> bool:
        return any(part.startswith(".") for part in path.split("/"))

    def _stamp(self, path: str) -> str:
        told = [(name, self._there.files.get(f"{path}/{name}")) for name in (*_names(path), _SEAL)]
        text = repr([(name, entry.size_bytes, entry.stamp) for name, entry in told if entry is not None])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _needed(self, path: str) -> Iterator[str]:
        run, results, journal = (f"{path}/{name}" for name in _names(path))
        yield run
        yield results if results in self._there.files and f"{path}/{_SEAL}" in self._there.files else journal

    def _fetch(self, names: Iterable[str]) -> None:
        wanted = [name for name in names if _is_read(name, self._there.files.get(name))]
        in_threads(self._fetch_one, wanted, THREADS)

    def _fetch_one(self, name: str) -> None:
        data = b"".join(pieces(self._remote, name, self._there.files[name].size_bytes))
        files.write_bytes(self._temporary / name, data)

    def _find_ensembles(self) -> None:
        end = f"{FOLDER_SUFFIX}/{JOURNAL_NAME}"
        found = [name for name in self._there.files if name.endswith(end) and not self._is_hidden(name)]
        self._fetch(found)
        self.ensembles = {catalogue_text(name.rpartition("/")[0]): name.rpartition("/")[0] for name in found}


def _names(path: str) -> tuple[str, str, str]:
    """Of the run's record, its results and its journal, in the folder of an archive."""
    name = path.rpartition("/")[2].removesuffix(RUN_SUFFIX)
    return layout.RUN.path(name), layout.RESULTS.path(name), _JOURNAL


def _is_read(name: str, entry: RemoteEntry | None) -> bool:
    limit = MAXIMAL_JOURNAL_BYTES if name.endswith(".jsonl") else MAXIMAL_DOCUMENT_BYTES
    return entry is not None and entry.size_bytes <= limit
