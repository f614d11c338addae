"""`pull`: a run from a store into a folder of its own, which appears when all of it is there.

Until then it lies beside it under a temporary name; a pull that was interrupted goes on from what it finds there.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.findings import VerifyReport
from archiver.archive.verifying import verify
from archiver.errors import NotAnArchiveError, RunStateError
from archiver.remote.listing import Listing, list_remote
from archiver.remote.patience import PATIENT, Patience
from archiver.remote.ranges import pieces
from archiver.remote.urls import THREADS, Remote, open_remote
from archiver.storage import files
from archiver.storage.digests import Hasher, file_digests, hasher
from archiver.storage.hashing import in_threads, regular_files
from archiver.storage.journal import JOURNAL_NAME
from archiver.storage.manifests import MAXIMAL_MANIFEST_BYTES, check_names, parse_manifest
from archiver.storage.reading import open_below, read_below

SEAL = layout.MANIFEST_BLAKE3.pattern
PULLING_PREFIX = f"{files.TEMPORARY_PREFIX}pull-"
LOOKS = 3
"""A file that is not as it was sealed was spoiled on its way, or lies there so: getting it again tells."""

OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class Pulled:
    """What a pull did."""

    path: Path
    """The folder of the run."""
    report: VerifyReport
    """Of the run as it lies there now."""
    received_count: int
    received_bytes: int
    kept_count: int
    """Files that an interrupted pull had left."""


def pull(
    url: str,
    folder: str | os.PathLike[str] = ".",
    *,
    storage_options: Mapping[str, Any] | None = None,
    patience: Patience = PATIENT,
    on_bytes: OnBytes | None = None,
) -> Pulled:
    """Get a run from a store, and verify it.

    Args:
        url: of the run.
        folder: where it shall lie: a folder that is there gets it under its own name; one that is not becomes it.
        storage_options: what fsspec's file system is given; kept in memory only.
        patience: how often each request is tried.
        on_bytes: is told how many more bytes are here, on any thread.

    Returns:
        Where it is, and what verifying it said: a run that is not whole there is not whole here.

    Raises:
        NotAnArchiveError: there is no run at the URL.
        RunStateError: something is at the folder already, or another process pulls to it.
        UnsafePathError: a name there could lead out of the folder; nothing was written.
        RemoteError: the store cannot be reached, or refused; the next pull goes on from there.
        StorageError: there is no room.
    """
    remote = open_remote(url, storage_options)
    target = Path(folder) / remote.name if os.path.isdir(folder) else Path(folder)
    _require_free(target)
    there = list_remote(remote, patience)
    require_archive(there, remote.url)
    there.require_safe(remote.url)
    check_names(there.files)
    partial = target.with_name(f"{PULLING_PREFIX}{target.name}")
    with _alone(partial):
        done = Downloader(remote, there, partial, patience, on_bytes or (lambda _: None)).pull()
        report = verify(partial)
        _require_free(target)
        files.rename(partial, target)
    return Pulled(target, _named(report, partial, target), *done)


def require_archive(there: Listing, url: str) -> None:
    """Refuse what is no run's folder.

    Raises:
        NotAnArchiveError: it is none.
    """
    if JOURNAL_NAME in there.files or SEAL in there.files:
        return
    inside = sorted({path.split("/")[0] for path in there.files if path.endswith(f"/{JOURNAL_NAME}")})
    what = "a file" if there.is_file else f"{len(there.files)} files" if there.files else "nothing"
    hint = f" It holds {len(inside)} runs: {', '.join(inside[:5])}." if inside else ""
    raise NotAnArchiveError(f"Received {url!r}, where there is {what}. Expected the folder of a run.{hint}")


def _named(report: VerifyReport, partial: Path, target: Path) -> VerifyReport:
    return replace(report, path=str(target).replace(str(partial), str(target)))


def _require_free(target: Path) -> None:
    if os.path.lexists(target):
        raise RunStateError(f"{target} is there already; it is never overwritten: remove it, or name another folder.")


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """One process at a time fills the folder."""
    with files.explained("make", partial):
        os.makedirs(partial, exist_ok=True)
        descriptor = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise RunStateError(f"{partial}: another process is pulling this run.") from error
    finally:
        os.close(descriptor)


class Downloader:
    """Fills a folder with what lies in a store.

    Args:
        remote: what is got.
        there: its listing, of which no name was refused.
        folder: of our own.
        patience: how often each request is tried.
        on_bytes: is told how many more bytes are here.
    """

    def __init__(self, remote: Remote, there: Listing, folder: Path, patience: Patience, on_bytes: OnBytes) -> None:
        self._remote, self._there, self._folder = remote, there, folder
        self._patience, self._on_bytes = patience, on_bytes
        self._sealed: dict[str, str] = {}

    def pull(self) -> tuple[int, int, int]:
        """Get what is not here. Returns the number of files and bytes that were, and of those that had been."""
        if SEAL in self._there.files:
            self._get(SEAL)
            self._sealed = parse_manifest(read_below(self._folder, SEAL, MAXIMAL_MANIFEST_BYTES), "blake3")[0]
        here = self._clean() - {SEAL}
        wanted = sorted(self._there.files.keys() - here - {SEAL}, key=lambda path: -self._there.files[path].size_bytes)
        size = sum(self._there.files[path].size_bytes for path in wanted)
        files.require_room(self._folder / "file", size)
        in_threads(self._get, wanted, THREADS)
        self._on_bytes(sum(self._there.files[path].size_bytes for path in here))
        if SEAL in self._there.files:
            wanted.append(SEAL)
        return len(wanted), sum(self._there.files[path].size_bytes for path in wanted), len(here)

    def _clean(self) -> set[str]:
        """What an interrupted pull left and is as it was sealed stays; everything else goes."""
        kept = {path for path, size in regular_files(self._folder).items() if self._is_kept(path, size)}
        for path in regular_files(self._folder).keys() - kept - {SEAL}:
            files.remove(self._folder / path)
        return kept

    def _is_kept(self, path: str, size: int) -> bool:
        entry, sealed = self._there.files.get(path), self._sealed.get(path)
        if entry is None or sealed is None or entry.size_bytes != size:
            return False
        with open_below(self._folder, path) as file:
            return file_digests(file, ("blake3",))["blake3"] == sealed

    def _get(self, path: str) -> None:
        size = self._there.files[path].size_bytes
        target = self._folder / path
        for _ in range(LOOKS):
            with files.replacing(target) as temporary:
                digest = self._write(path, size, temporary)
            if digest == self._sealed.get(path, digest):
                break
        self._on_bytes(size)

    def _write(self, path: str, size: int, target: Path) -> str:
        hashing: Hasher = hasher("blake3")
        with files.explained("write", target), target.open("wb") as file:
            for piece in pieces(self._remote, path, size, self._patience):
                hashing.update(piece)
                file.write(piece)
        return hashing.hexdigest()
