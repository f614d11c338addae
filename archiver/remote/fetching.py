"""A run in a store as a folder here, for as long as it is looked at: its documents, and what else is asked for.

What is small, or a record, is fetched into a temporary folder; what is large is read where it lies. A zip file or a bag
is fetched whole.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.documents import MAXIMAL_DOCUMENT_BYTES
from archiver.archive.run import Run
from archiver.archive.unfetched import Unfetched
from archiver.errors import ArchiverError
from archiver.remote.downloading import require_archive
from archiver.remote.listing import Listing, list_remote
from archiver.remote.patience import PATIENT, Patience
from archiver.remote.ranges import open_ranges, pieces
from archiver.remote.urls import THREADS, Remote, open_remote
from archiver.storage import files
from archiver.storage.bagit import DECLARATION_NAME
from archiver.storage.hashing import in_threads
from archiver.storage.journal import JOURNAL_NAME, MAXIMAL_JOURNAL_BYTES
from archiver.storage.manifests import MANIFEST_NAMES, MAXIMAL_MANIFEST_BYTES, PREVIOUS_SEAL

SMALL_BYTES = 64 << 10
"""Files up to here are fetched: asking for them takes longer than getting them."""
MAXIMAL_FETCHED_BYTES = 1 << 30
"""Of all documents together; what goes beyond is read where it lies."""

_LIMITS = {
    JOURNAL_NAME: MAXIMAL_JOURNAL_BYTES,
    layout.CRATE.pattern: MAXIMAL_MANIFEST_BYTES,
    PREVIOUS_SEAL: MAXIMAL_MANIFEST_BYTES,
    **dict.fromkeys(MANIFEST_NAMES.values(), MAXIMAL_MANIFEST_BYTES),
}
_RECORD_FOLDERS = frozenset(("configs", "environment", "models", "results", "schemas"))


@dataclass
class FetchedRun:
    """A run in a store, and the folder here that has its documents."""

    remote: Remote
    there: Listing
    folder: Path
    """Temporary."""
    unfetched: Unfetched
    patience: Patience

    def fetch(self, paths: Iterable[str]) -> None:
        """Bring files into the folder that are not there.

        Raises:
            RemoteError: one cannot be read.
            StorageError: there is no room.
        """
        wanted = sorted(set(paths) & self.unfetched.sizes.keys(), key=lambda path: -self.unfetched.sizes[path])
        files.require_room(self.folder, sum(self.unfetched.sizes[path] for path in wanted))
        in_threads(self._fetch, wanted, THREADS)
        left = {path: size for path, size in self.unfetched.sizes.items() if path not in set(wanted)}
        self.unfetched.sizes = left

    def fetch_all(self, is_wanted: Callable[[str], bool]) -> None:
        """Bring the files into the folder of whose paths this holds."""
        self.fetch([path for path in self.unfetched.sizes if is_wanted(path)])

    def _fetch(self, path: str) -> None:
        entry = self.there.files[path]
        target = self.folder / path if path else self.folder
        with files.replacing(target) as temporary, temporary.open("xb") as file:
            for piece in pieces(self.remote, path, entry.size_bytes, self.patience):
                file.write(piece)
        with contextlib.suppress(OSError, OverflowError):
            os.utime(target, ns=(entry.modified_ns, entry.modified_ns))

    def named(self, text: str) -> str:
        """`text` with the URL in place of the temporary folder."""
        return text.replace(str(self.folder), self.remote.url)


def is_document(path: str, size_bytes: int) -> bool:
    """Whether a file is one of those that say what the run is; larger ones than any reader takes are none."""
    if size_bytes <= SMALL_BYTES:
        return True
    if path in _LIMITS:
        return size_bytes <= _LIMITS[path]
    is_record = path.endswith(".json") and path.partition("/")[0] in _RECORD_FOLDERS
    return is_record and size_bytes <= MAXIMAL_DOCUMENT_BYTES


@contextlib.contextmanager
def fetched_run(
    url: str,
    *,
    storage_options: Mapping[str, Any] | None = None,
    whole: bool = False,
    patience: Patience = PATIENT,
) -> Iterator[FetchedRun]:
    """The run at a URL, while the body runs.

    Args:
        url: of the run, or of a bag or zip file with one.
        storage_options: what fsspec's file system is given.
        whole: fetch all of it.
        patience: how often each request is tried.

    Raises:
        NotAnArchiveError: there is none.
        ArgumentError: no such URL.
        MissingExtraError: the library of its scheme is not installed.
        RemoteError: the store cannot be reached, or refused.
        StorageError: there is no room.
    """
    remote = open_remote(url, storage_options)
    there = list_remote(remote, patience)
    is_wrapped = there.is_file or (DECLARATION_NAME in there.files and JOURNAL_NAME not in there.files)
    if not is_wrapped:
        require_archive(there, remote.url)
    with tempfile.TemporaryDirectory(prefix="archiver-") as temporary:
        folder = Path(temporary, remote.name)
        found = FetchedRun(remote, there, folder, _nothing_fetched(remote, there, patience), patience)
        found.unfetched.fetch = found.fetch
        if not there.is_file:
            folder.mkdir()
        found.fetch(there.files if whole or is_wrapped else _documents(there))
        yield found


def _nothing_fetched(remote: Remote, there: Listing, patience: Patience) -> Unfetched:
    sizes = {path: entry.size_bytes for path, entry in there.files.items()}
    return Unfetched(
        sizes=sizes,
        open=lambda path: open_ranges(remote, path, sizes[path], patience),
        refused=there.refused,
        threads=THREADS,
        newest_ns=max((entry.modified_ns for entry in there.files.values()), default=0),
    )


def _documents(there: Listing) -> Iterator[str]:
    left = MAXIMAL_FETCHED_BYTES
    for path, entry in sorted(there.files.items(), key=lambda each: each[1].size_bytes):
        left -= entry.size_bytes
        if left >= 0 and is_document(path, entry.size_bytes):
            yield path


def fetch_compared(found: FetchedRun) -> None:
    """Bring what a comparison reads into the folder, weights left out."""
    found.fetch_all(lambda path: path.startswith(("traces/", "results/", "environment/")))


def fetch_weights(found: Sequence[FetchedRun], folders: Sequence[Path]) -> None:
    """Bring the weights of runs in stores into their folders, where those of the two folders to compare differ."""
    digests = {_weights_digest(folder) for folder in folders}
    if len(digests) > 1 and None not in digests:
        for each in found:
            each.fetch(_files_of_weights(each))


def _weights_digest(folder: Path) -> str | None:
    try:
        table = Run.open(folder).read_if_there(layout.WEIGHTS)
    except ArchiverError:
        return None
    return table.weights_digest if table is not None else None


def _files_of_weights(found: FetchedRun) -> list[str]:
    """The smallest model file that has all of them; where none has, all."""
    table = Run.open(found.folder).read_if_there(layout.WEIGHTS)
    if table is None:
        return []
    sizes = found.unfetched.sizes
    there = {form: part.file for form, part in table.formats.items() if part.file is not None and part.file in sizes}
    whole = [file for form, file in there.items() if all(form in each.locations for each in table.variables)]
    return sorted(whole, key=lambda path: sizes[path])[:1] or list(there.values())
