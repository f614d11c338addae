"""`push`: bringing a run to a store, so that at any moment a reader there sees a whole archive, or one without a seal.

The journal goes first, since it says which run this is; then everything else, the largest files first; then the
manifests, and the seal when a listing has shown that all it covers is there. Where a seal is there already and
something must change, it is removed before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from archiver.archive.run import Run
from archiver.errors import RemoteError, RunStateError
from archiver.remote.fingerprints import PART_BYTES, read_back, tells_same
from archiver.remote.listing import Listing, RemoteEntry, entry_of, list_remote
from archiver.remote.local_state import MANIFESTS, SEAL, Hashes, LocalState
from archiver.remote.patience import PATIENT, Patience, SpoiledError
from archiver.remote.ranges import pieces
from archiver.remote.sent import SentLog
from archiver.remote.urls import Remote, check_url, open_remote, url_of_run
from archiver.storage.digests import bytes_digests
from archiver.storage.hashing import in_threads
from archiver.storage.journal import JOURNAL_NAME, MAXIMAL_JOURNAL_BYTES
from archiver.storage.reading import read_below

IN_MEMORY_BYTES = 8 << 20
"""Files up to here are sent from memory, in one request."""
LARGE_AT_ONCE = 2
"""Larger files that are sent at the same time, each by `PARTS_AT_ONCE` parts: they are in memory meanwhile."""
PARTS_AT_ONCE = 4

OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    url: str
    """Where the run lies now."""
    seal_id: str | None
    """None: it is not sealed, here or there."""
    sent_count: int
    sent_bytes: int
    kept_count: int
    """Files that were there already."""
    removed_count: int
    """Files there that are no longer here."""


def push(
    path: str | os.PathLike[str],
    url: str,
    *,
    storage_options: Mapping[str, Any] | None = None,
    replace: bool = False,
    patience: Patience = PATIENT,
    on_bytes: OnBytes | None = None,
) -> Pushed:
    """Bring a run to a store, or bring it up to date there. What is there already is not sent again.

    Args:
        path: the folder of the run; one that is not sealed is brought as it is.
        url: of the store, such as `s3://bucket/runs`: the run keeps its folder's name. A URL that ends with this name
            is that of the run itself.
        storage_options: what fsspec's file system is given; kept in memory only.
        replace: also where another run is there, or the same one further along.
        patience: how often each request is tried.
        on_bytes: is told how many more bytes are there, on any thread.

    Raises:
        NotAnArchiveError: there is no run at `path`.
        RunStateError: a file is not as it was sealed; or what is there is no earlier state of this run.
        ArgumentError: no such URL.
        MissingExtraError: the library of its scheme is not installed.
        RemoteError: the store cannot be reached, or refused; the next push goes on from there.
    """
    check_url(url)
    run = Run.open(path)
    folder = os.path.basename(os.path.abspath(run.path))
    remote = open_remote(url_of_run(url, folder), storage_options)
    return Uploader(run, remote, patience=patience, on_bytes=on_bytes, replace=replace).push()


class Uploader:
    """Brings one run to one place, any number of times.

    Args:
        run: the run.
        remote: the place.
        patience: how often each request is tried.
        on_bytes: is told how many more bytes are there.
        replace: also where something else is there.
    """

    def __init__(
        self,
        run: Run,
        remote: Remote,
        *,
        patience: Patience = PATIENT,
        on_bytes: OnBytes | None = None,
        replace: bool = False,
    ) -> None:
        self.run, self.remote = run, remote
        self._patience, self._replace = patience, replace
        self._on_bytes = on_bytes or (lambda _: None)
        self._log = SentLog(remote.url)
        self._hashes = Hashes()
        self._few_large = threading.BoundedSemaphore(LARGE_AT_ONCE)
        self._is_ours = False
        self._sent: dict[str, int] = {}

    def push(self) -> Pushed:
        """See `push`."""
        self._sent = {}
        local = LocalState.of(self.run)
        there = list_remote(self.remote, self._patience)
        there.require_safe(self.remote.url)
        self._require_ours(local, there)
        changed = self._changed(local, there, local.sizes)
        gone = [path for path in there.files if path not in local.sizes and path != SEAL]
        if changed or gone or not self._has_seal(local, there):
            self._change(local, there, changed, gone)
        self._log.keep_only({*local.sizes, SEAL})
        return Pushed(
            url=self.remote.url,
            seal_id=local.seal_id,
            sent_count=len(self._sent),
            sent_bytes=sum(self._sent.values()),
            kept_count=len(local.sizes) - len(changed) + (local.seal is not None and SEAL not in self._sent),
            removed_count=len(gone),
        )

    def _has_seal(self, local: LocalState, there: Listing) -> bool:
        """Whether the seal there is the one here, or there is none on either side."""
        if local.seal is None or SEAL not in there.files:
            return (local.seal is not None) == (SEAL in there.files)
        return there.files[SEAL].size_bytes == len(local.seal) and self._read(SEAL, len(local.seal)) == local.seal

    def _change(self, local: LocalState, there: Listing, changed: list[str], gone: list[str]) -> None:
        if SEAL in there.files:
            self._remove([SEAL])
        if JOURNAL_NAME not in there.files and JOURNAL_NAME in changed:
            self._send(local, JOURNAL_NAME)
        data = [path for path in changed if path not in MANIFESTS and path not in self._sent]
        data.sort(key=lambda path: -local.sizes[path])
        in_threads(lambda path: self._send(local, path), data, self.remote.threads)
        self._remove(gone)
        for path in MANIFESTS:
            if path in changed:
                self._send(local, path)
        if local.seal is not None:
            self._seal(local)

    def _changed(self, local: LocalState, there: Listing, paths: Iterable[str]) -> list[str]:
        """The files that are not there as they are here."""
        changed: list[str] = []

        def look(path: str) -> None:
            if self._is_there(local, there, path):
                self._on_bytes(local.sizes[path])
            else:
                changed.append(path)

        in_threads(look, sorted(paths), os.cpu_count() or 1)
        return sorted(changed)

    def _is_there(self, local: LocalState, there: Listing, path: str) -> bool:
        entry = there.files.get(path)
        if entry is None or entry.size_bytes != local.sizes[path]:
            return False
        try:
            md5 = local.md5_of(path, self._hashes)
            return self._log.knows(path, entry, md5) or tells_same(entry, local.folder, path, md5) is True
        except FileNotFoundError:
            return False

    # -- one file

    def _send(self, local: LocalState, path: str) -> None:
        """Send a file, and see to it that it is there; one that has gone from an unsealed run meanwhile is left out."""
        try:
            size = self._patience.persist(f"send {path} to {self.remote.url}", lambda: self._send_once(local, path))
        except FileNotFoundError as error:
            if local.seal is None and not os.path.lexists(local.folder / path):
                return
            raise RemoteError(f"cannot send {path} to {self.remote.url}: {error}") from error
        self._sent[path] = size
        self._on_bytes(size)

    def _send_once(self, local: LocalState, path: str) -> int:
        md5 = local.md5_of(path, self._hashes)
        target = self.remote.path_of(path)
        if local.sizes[path] <= IN_MEMORY_BYTES:
            data = read_below(local.folder, path, 4 * IN_MEMORY_BYTES)  # a journal may have grown
            if path in local.sealed and bytes_digests(data, ("md5",))["md5"] != md5:
                raise SpoiledError("the file changed while it was read")
            md5 = bytes_digests(data, ("md5",))["md5"]
            self.remote.filesystem.pipe_file(target, data)
            size = len(data)
        else:
            is_s3 = self.remote.scheme in ("s3", "s3a")
            options = {"chunksize": PART_BYTES, "max_concurrency": PARTS_AT_ONCE} if is_s3 else {}
            with self._few_large:
                self.remote.filesystem.put_file(os.fspath(local.folder / path), target, **options)
            size = os.stat(local.folder / path).st_size
        self._check(local, path, size, md5)
        return size

    def _check(self, local: LocalState, path: str, size: int, md5: str) -> None:
        """Whether the file that was sent is there, byte by byte."""
        entry = self._entry(path)
        if entry.size_bytes != size:
            raise SpoiledError(f"{entry.size_bytes} bytes are there, {size} were sent")
        if tells_same(entry, local.folder, path, md5) is not True:
            try:
                found = read_back(self.remote, path, size, dataclasses.replace(self._patience, attempts=2))
            except RemoteError as error:  # where it cannot be read, it is sent once more
                raise SpoiledError(f"it cannot be read back: {error}") from error
            if found != md5:
                raise SpoiledError("what is there is not what was sent")
        self._log.note(path, entry, md5)

    def _entry(self, path: str) -> RemoteEntry:
        try:
            return entry_of(self.remote.filesystem.info(self.remote.path_of(path)))
        except FileNotFoundError as error:
            raise SpoiledError("it was sent, and is not there") from error

    def _remove(self, paths: list[str]) -> None:
        def remove(path: str) -> None:
            with contextlib.suppress(FileNotFoundError):
                self._patience.persist(
                    f"remove {self.remote.url}/{path}",
                    lambda: self.remote.filesystem.rm_file(self.remote.path_of(path)),
                )

        in_threads(remove, paths, self.remote.threads)

    def _read(self, path: str, size: int) -> bytes:
        return b"".join(pieces(self.remote, path, size, self._patience))

    # -- what may be written where

    def _require_ours(self, local: LocalState, there: Listing) -> None:
        """Refuse to write over what is no earlier state of this run: the journal there is the beginning of the one
        here."""
        if not there.files or self._replace:
            self._is_ours = True
            return
        entry = there.files.get(JOURNAL_NAME)
        if entry is None:
            raise RunStateError(
                f"{self.remote.url} holds {len(there.files)} files and no {JOURNAL_NAME}. Expected nothing there, or "
                "an earlier state of this run."
            )
        if not (self._is_ours and self._log.wrote(JOURNAL_NAME, entry)):
            self._compare_journals(local, entry)
        self._is_ours = True

    def _compare_journals(self, local: LocalState, entry: RemoteEntry) -> None:
        if entry.size_bytes > MAXIMAL_JOURNAL_BYTES:
            raise RunStateError(f"{self.remote.url}/{JOURNAL_NAME} is no journal: it has {entry.size_bytes} bytes.")
        ours = _whole_lines(read_below(local.folder, JOURNAL_NAME, MAXIMAL_JOURNAL_BYTES))
        theirs = _whole_lines(self._read(JOURNAL_NAME, entry.size_bytes))
        if ours.startswith(theirs):
            return
        if theirs.startswith(ours):
            raise RunStateError(
                f"{self.remote.url} is further along than {local.folder}: `archiver pull` gets it; --replace puts this "
                "older state in its place."
            )
        same = ours.partition(b"\n")[0] == theirs.partition(b"\n")[0]
        what = "this run went on in another way" if same else "another run lies there"
        raise RunStateError(f"{self.remote.url}: {what}. Choose another URL; --replace puts this one in its place.")

    # -- the seal

    def _seal(self, local: LocalState) -> None:
        """The last step: only where all that the seal covers is there, and the run here still has this seal."""
        there = list_remote(self.remote, self._patience)
        there.require_safe(self.remote.url)
        differing = [path for path in local.sizes if not self._is_there(local, there, path)]
        differing += sorted(there.files.keys() - local.sizes.keys())
        if differing:
            raise RemoteError(
                f"{self.remote.url}: {differing[0]} (and {len(differing) - 1} more) changed there while the run was "
                "sent; it is not sealed there. Push again."
            )
        now = LocalState.of(self.run)
        if now.seal != local.seal:
            raise RunStateError(f"{local.folder} changed while it was sent; it is not sealed there. Push again.")
        self._send_seal(local.seal or b"")

    def _send_seal(self, seal: bytes) -> None:
        md5 = bytes_digests(seal, ("md5",))["md5"]

        def send() -> None:
            self.remote.filesystem.pipe_file(self.remote.path_of(SEAL), seal)
            entry = self._entry(SEAL)
            if entry.size_bytes != len(seal) or self._read(SEAL, len(seal)) != seal:
                raise SpoiledError("the seal that is there is not the one that was sent")
            self._log.note(SEAL, entry, md5)

        self._patience.persist(f"send {SEAL} to {self.remote.url}", send)
        self._sent[SEAL] = len(seal)


def _whole_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]
