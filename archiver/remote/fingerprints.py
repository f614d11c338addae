"""Whether a file in a store is one that lies here: by what the store tells of it, else by reading it back.

S3 tells the MD5 of what was sent in one request, and of what was sent in parts the MD5 of the parts' MD5s; Google Cloud
and Azure tell the MD5, the Hugging Face Hub SHA-256 or git's digest. Where a store encrypts with a key of its own, what
S3 tells is no MD5 of the content, and the bytes are read back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from archiver.remote.listing import RemoteEntry
from archiver.remote.patience import PATIENT, Patience
from archiver.remote.ranges import open_ranges
from archiver.remote.urls import Remote
from archiver.storage.digests import file_digests
from archiver.storage.reading import open_below

PART_BYTES = 16 << 20
"""Larger files are sent to S3 in parts of so many bytes."""

BLOCK_BYTES = 1 << 20


def tells_same(entry: RemoteEntry, folder: Path, path: str, md5: str) -> bool | None:
    """Whether the store's digests say that a file there is the one here; None: they do not tell.

    Args:
        entry: of the file there, of the same size.
        folder: of the run, here.
        path: of the file in it.
        md5: of the file here.
    """
    if "md5" in entry.digests:
        return True if entry.digests["md5"] == md5 else None
    if "parts" in entry.digests:
        return True if entry.digests["parts"] == _parts_of(folder, path) else None
    if "sha256" in entry.digests:
        return entry.digests["sha256"] == _hashed(folder, path, hashlib.sha256())
    if "git" in entry.digests:
        header = hashlib.sha1(b"blob %d\0" % entry.size_bytes, usedforsecurity=False)
        return entry.digests["git"] == _hashed(folder, path, header)
    return None


def _parts_of(folder: Path, path: str) -> str:
    digests, count = hashlib.md5(usedforsecurity=False), 0
    with open_below(folder, path) as file:
        while True:
            part = hashlib.md5(usedforsecurity=False)
            left = PART_BYTES
            while left and (block := file.read(min(left, BLOCK_BYTES))):
                part.update(block)
                left -= len(block)
            if left == PART_BYTES:
                break
            digests.update(part.digest())
            count += 1
    return f"{digests.hexdigest()}-{count}"


def _hashed(folder: Path, path: str, hasher: hashlib._Hash) -> str:
    with open_below(folder, path) as file:
        while block := file.read(BLOCK_BYTES):
            hasher.update(block)
    return hasher.hexdigest()


def read_back(
    remote: Remote,
    path: str,
    size_bytes: int,
    patience: Patience = PATIENT,
    on_bytes: Callable[[int], None] | None = None,
) -> str:
    """The MD5 of a file in a store, from its bytes."""
    with open_ranges(remote, path, size_bytes, patience) as file:
        return file_digests(file, ("md5",), on_bytes)["md5"]
