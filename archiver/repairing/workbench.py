"""The new folder while it is worked on. Only bytes with the recorded digest become a file that counts as sound."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.tensor_tables import TensorRecords
from archiver.errors import ArchiverError, UnsafeFileError
from archiver.repairing.bits import MAXIMAL_TOTAL_SECONDS
from archiver.repairing.outcomes import Outcome
from archiver.repairing.seals import Digests, Seals
from archiver.storage import files
from archiver.storage.beneath import Entry, opened_folder, walk
from archiver.storage.digests import ALGORITHMS, BLOCK_BYTES, file_digests, hasher
from archiver.storage.guards import reading
from archiver.storage.reading import open_below

Candidate = tuple[str, Callable[[Path], None]]
"""How a file could be had again, and what writes it."""


@dataclass
class Bench:
    """A copy of the damaged archive, made whole file by file."""

    source: Run
    run: Run
    """The copy."""
    seals: Seals
    scratch: Path
    """A folder beside the copy, for what is tried."""
    entries: dict[str, Entry]
    """What lies in the damaged archive, but folders."""
    digests: dict[str, Digests] = field(default_factory=dict)
    """Of each file of the copy, as it is now."""
    found: dict[str, Digests] = field(default_factory=dict)
    """Of the files of the damaged archive, listed or not."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    memory: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What was found out about a file, by its name and SHA-256."""
    seconds_left: float = MAXIMAL_TOTAL_SECONDS
    """For trying bits."""
    _records: TensorRecords | None = None

    def path(self, name: str) -> Path:
        """A file of the copy."""
        return self.run.path / name

    def is_sound(self, name: str) -> bool:
        """Whether the copy has the file as it was sealed."""
        return name in self.digests and self.seals.proves(name, self.digests[name])

    def broken(self) -> list[str]:
        """The files that are not as they were sealed."""
        return [name for name in self.seals.paths() if not self.is_sound(name)]

    @property
    def records(self) -> TensorRecords:
        """The records of tensors, of which only sound ones are used."""
        if self._records is None:
            found = TensorRecords.of(self.run)
            sound = {file: self.is_sound(file.path(self.run.name)) for file in (
                layout.WEIGHTS, layout.CHECKPOINT_STATE, layout.RESULTS)}  # fmt: skip
            self._records = TensorRecords(
                found.weights if sound[layout.WEIGHTS] else None,
                found.checkpoint if sound[layout.CHECKPOINT_STATE] else None,
                found.results if sound[layout.RESULTS] else None,
            )
        return self._records

    def copy_all(self) -> None:
        """Copy what the manifests list, and take the digests of everything that is there."""
        listed = set(self.seals.paths())
        for name, entry in self.entries.items():
            if entry.kind != "file" or not entry.is_utf8:
                continue
            if name in listed:
                with contextlib.suppress(ArchiverError, OSError):
                    self.found[name] = self.digests[name] = self._copy(name)
            elif name not in layout_manifests():
                with contextlib.suppress(ArchiverError, OSError), open_below(self.source.path, name) as file:
                    self.found[name] = file_digests(file, ALGORITHMS)

    def _copy(self, name: str) -> Digests:
        hashers = {algorithm: hasher(algorithm) for algorithm in ALGORITHMS}
        os.makedirs(self.path(name).parent, exist_ok=True)
        with open_below(self.source.path, name) as file, self.path(name).open("wb", buffering=0) as target:
            left = self.entries[name].size_bytes
            while data := file.read(min(BLOCK_BYTES, left + 1)):
                left -= len(data)
                if left < 0:
                    raise UnsafeFileError(f"{name} grows while it is read")
                files.write_all(target.fileno(), data)
                for each in hashers.values():
                    each.update(data)
        return {algorithm: each.hexdigest() for algorithm, each in hashers.items()}

    def restore(self, name: str, candidates: Iterator[Candidate]) -> bool:
        """Take the first candidate with the recorded digest."""
        for how, write in candidates:
            with self.attempt(name, write) as found:
                if found is not None and self.seals.proves(name, found[1]):
                    self.take(name, found[0], found[1], Outcome(name, "restored", how))
                    return True
        return False

    @contextlib.contextmanager
    def attempt(self, name: str, write: Callable[[Path], None]) -> Iterator[tuple[Path, Digests] | None]:
        """What a candidate writes and its digests; None where it cannot. It is gone afterwards, unless it was taken."""
        target = self.scratch / f"attempt{Path(name).suffix}"
        try:
            with contextlib.suppress(ArchiverError), reading(name, "what it is made from"):
                write(target)
            if target.is_file():
                with target.open("rb", buffering=0) as file:
                    digests = file_digests(file, ALGORITHMS)
                yield target, digests
            else:
                yield None
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target)

    def take(self, name: str, found: Path, digests: Digests, outcome: Outcome) -> None:
        """Make an attempt the file of this name."""
        before = self.digests.get(name, {}).get("sha256")
        os.makedirs(self.path(name).parent, exist_ok=True)
        files.rename(found, self.path(name))
        self.digests[name] = digests
        self._records = None
        self.outcomes[name] = Outcome(name, outcome.what, outcome.how, before, digests["sha256"])


def entries_of(folder: Path) -> dict[str, Entry]:
    """What lies in a folder and below, but folders; links are listed, not followed."""
    with opened_folder(folder) as root:
        return {entry.path: entry for entry in walk(root) if entry.kind != "folder"}


def layout_manifests() -> set[str]:
    """The paths of the manifests."""
    return {layout.MANIFEST_MD5.pattern, layout.MANIFEST_SHA256.pattern, layout.MANIFEST_BLAKE3.pattern}


def of_bytes(data: bytes) -> Callable[[Path], None]:
    """Writes these bytes."""

    def write(target: Path) -> None:
        target.write_bytes(data)

    return write
