"""What was sent to a store and found to be there: for stores that tell no digest, and to go on after an interruption.

A file in the user's cache folder, a line for each file; without it, such stores are sent everything again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path

from archiver.errors import StorageError
from archiver.remote.listing import RemoteEntry
from archiver.remote.urls import cache_folder
from archiver.storage import files

MAXIMAL_BYTES = 64 << 20


@dataclass(frozen=True)
class Sent:
    """A file that was sent."""

    md5: str
    size_bytes: int
    stamp: str
    """That of the file there, once it had been sent."""


class SentLog:
    """The files that were sent to one URL.

    Args:
        url: as it is shown.
    """

    def __init__(self, url: str) -> None:
        name = hashlib.sha256(url.encode()).hexdigest()[:32]
        self.path = cache_folder("uploads") / f"{name}.jsonl"
        self._lock = threading.Lock()
        self._sent = dict(_read(self.path))

    def knows(self, path: str, entry: RemoteEntry, md5: str) -> bool:
        """Whether the file there is the one with that digest, and was not written again since."""
        return bool(entry.stamp) and self._sent.get(path) == Sent(md5, entry.size_bytes, entry.stamp)

    def wrote(self, path: str, entry: RemoteEntry) -> bool:
        """Whether the file there is what was sent last, whatever lies here."""
        sent = self._sent.get(path)
        return (
            sent is not None and (sent.size_bytes, sent.stamp) == (entry.size_bytes, entry.stamp) and bool(sent.stamp)
        )

    def note(self, path: str, entry: RemoteEntry, md5: str) -> None:
        """A file is there; a cache that cannot be written costs time, and nothing else."""
        with self._lock:
            self._sent[path] = Sent(md5, entry.size_bytes, entry.stamp)
            with contextlib.suppress(StorageError, OSError):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                files.append_bytes(self.path, _line(path, self._sent[path]))

    def keep_only(self, paths: set[str]) -> None:
        """Forget other files, and write the log anew."""
        with self._lock, contextlib.suppress(StorageError):
            self._sent = {path: sent for path, sent in self._sent.items() if path in paths}
            files.write_bytes(self.path, b"".join(_line(*each) for each in sorted(self._sent.items())))


def _line(path: str, sent: Sent) -> bytes:
    return json.dumps([path, sent.md5, sent.size_bytes, sent.stamp]).encode() + b"\n"


def _read(path: Path) -> dict[str, Sent]:
    found: dict[str, Sent] = {}
    with contextlib.suppress(OSError):
        for line in path.read_bytes()[:MAXIMAL_BYTES].splitlines():
            with contextlib.suppress(ValueError, TypeError):
                name, md5, size, stamp = json.loads(line)
                found[name] = Sent(md5, size, stamp)
    return found
