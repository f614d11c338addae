"""Hashing a folder's large files while the program is still being imported: imports nothing that takes long itself.

The classes of the records take a third of a second to be made, on one core, as long as a gigabyte takes to be hashed
on another.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from archiver.cores import usable_cores
from archiver.errors import ArchiverError
from archiver.storage.beneath import Entry, opened_folder, walk
from archiver.storage.digests import file_digests
from archiver.storage.reading import open_below, require_stored

MINIMAL_BYTES = 8 << 20
"""Smaller files are left to those who ask: looking one up takes longer than they do."""
BLOCK_BYTES = 8 << 20
"""Between two blocks a thread waits for the interpreter, which the importing thread holds."""
SWITCH_SECONDS = 2e-4
"""How long it waits at most, while files are hashed ahead; Python's own 5 ms are longer than a block takes."""


class _UnwantedError(Exception):
    """The file under way is one that nobody asks for."""


class HashingAhead:
    """Digests of the large files below a folder, worked out by another thread, the largest file first.

    Nothing of what goes wrong is told: who asks for a file that is not here reads it again, and finds it then. Where
    there is one core only, nothing is hashed ahead.

    Args:
        root: the folder; may be none.
        algorithms: names of `storage.digests.ALGORITHMS`.
    """

    def __init__(self, root: Path, algorithms: Sequence[str]) -> None:
        self._root, self._algorithms = root, tuple(algorithms)
        self._sizes: dict[str, int] = {}
        self._digests: dict[str, dict[str, str]] = {}
        self._wanted: Collection[str] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="archiver-hash-ahead", daemon=True)
        self._switch_seconds = sys.getswitchinterval()
        if usable_cores() > 1:
            sys.setswitchinterval(SWITCH_SECONDS)
            self._thread.start()

    def stop(self, wanted: Collection[str]) -> frozenset[str]:
        """Begin no other file, and leave the one that is under way where it is not among `wanted`.

        Returns:
            Those of `wanted` that are done or under way: `digests` can be asked for them.
        """
        with self._lock:
            self._wanted = wanted
        return frozenset(path for path in self._sizes if path in wanted)

    def digests(
        self, path: str, algorithms: Sequence[str], size_bytes: int, on_bytes: Callable[[int], None] | None = None
    ) -> dict[str, str] | None:
        """The digests of a file that `stop` named, once they are there; None where the file has to be read again.

        Args:
            path: of the file, below the folder.
            algorithms: which digests are needed.
            size_bytes: the size of the file now: one that had another is read again.
            on_bytes: is told how many bytes were hashed.
        """
        if path not in self._digests and self._thread.ident is not None:
            self._thread.join()
        found = self._digests.get(path, {})
        if self._sizes.get(path) != size_bytes or not found.keys() >= set(algorithms):
            return None
        if on_bytes is not None:
            on_bytes(size_bytes)
        return found

    def _work(self) -> None:
        try:
            for entry in self._large_files():
                with self._lock:
                    if self._wanted is not None:
                        return
                    self._sizes[entry.path] = entry.size_bytes
                with contextlib.suppress(OSError, ArchiverError, _UnwantedError):
                    self._digests[entry.path] = self._hash(entry)
        except ArchiverError:
            return
        finally:
            sys.setswitchinterval(self._switch_seconds)

    def _large_files(self) -> list[Entry]:
        with opened_folder(self._root) as folder:
            large = [entry for entry in walk(folder) if entry.kind == "file" and entry.size_bytes >= MINIMAL_BYTES]
        return sorted(large, key=lambda entry: -entry.size_bytes)

    def _hash(self, entry: Entry) -> dict[str, str]:
        def leave_unwanted(_: int) -> None:
            if self._wanted is not None and entry.path not in self._wanted:
                raise _UnwantedError

        with open_below(self._root, entry.path) as file:
            require_stored(file, entry.path)
            return file_digests(file, self._algorithms, leave_unwanted, entry.size_bytes, BLOCK_BYTES)
