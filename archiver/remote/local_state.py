"""What lies in the folder of a run at one moment, for an upload: its files, and what of them is sealed."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from archiver import layout
from archiver.archive.run import Run
from archiver.errors import RunStateError
from archiver.storage.digests import file_digests, sha256_of
from archiver.storage.files import TEMPORARY_PREFIX
from archiver.storage.hashing import regular_files
from archiver.storage.manifests import MANIFEST_NAMES, MAXIMAL_MANIFEST_BYTES, check_names, parse_manifest
from archiver.storage.reading import open_below, read_below

SEAL = layout.MANIFEST_BLAKE3.pattern
MANIFESTS = tuple(name for name in MANIFEST_NAMES.values() if name != SEAL)
"""The others, in the order in which they are sent."""

_HASHED = ("md5", "blake3")


class Hashes:
    """Digests of local files, kept as long as the files stay as they are."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int, int], dict[str, str]]] = {}
        self._lock = threading.Lock()

    def of(self, folder: Path, path: str) -> dict[str, str]:
        """MD5 and BLAKE3 of a file.

        Raises:
            OSError: it cannot be read.
        """
        with open_below(folder, path) as file:
            status = os.fstat(file.fileno())
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            known = self._known.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            digests = file_digests(file, _HASHED, maximal_bytes=status.st_size)
        with self._lock:
            self._known[path] = (stamp, digests)
        return digests


@dataclass(frozen=True)
class LocalState:
    """The files of a run at one moment."""

    folder: Path
    sizes: dict[str, int]
    """By path; what is being written under a temporary name is left out, and the seal."""
    seal: bytes | None = None
    """The seal file; None: the run is not sealed."""
    sealed: dict[str, str] = field(default_factory=dict)
    """BLAKE3 by path, as sealed."""

    @classmethod
    def of(cls, run: Run) -> LocalState:
        """That of a run now.

        Raises:
            UnsafePathError: a file has a name that cannot stand in a manifest.
            StorageError: it cannot be read.
        """
        found = regular_files(run.path)
        sizes = {path: size for path, size in found.items() if not _is_temporary(path)}
        check_names(sizes)
        seal = read_below(run.path, SEAL, MAXIMAL_MANIFEST_BYTES) if sizes.pop(SEAL, None) is not None else None
        if seal is None:
            sizes = {path: size for path, size in sizes.items() if path not in MANIFESTS}
        return cls(run.path, sizes, seal, parse_manifest(seal, "blake3")[0] if seal is not None else {})

    @property
    def seal_id(self) -> str | None:
        """The seal id."""
        return sha256_of(self.seal) if self.seal is not None else None

    def md5_of(self, path: str, hashes: Hashes) -> str:
        """The MD5 of a file, which must be as it was sealed.

        Raises:
            RunStateError: it is not.
            OSError: it cannot be read.
        """
        digests = hashes.of(self.folder, path)
        sealed = self.sealed.get(path)
        if sealed is not None and digests["blake3"] != sealed:
            raise RunStateError(
                f"{self.folder}: {path} is not as it was sealed (`archiver verify` says more); nothing is sealed there."
            )
        return digests["md5"]


def _is_temporary(path: str) -> bool:
    return any(part.startswith(TEMPORARY_PREFIX) for part in path.split("/"))
