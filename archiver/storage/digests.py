"""Digests of files and arrays: one reading of the bytes for all algorithms."""

from __future__ import annotations

import hashlib
import io
import mmap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO, Protocol

ALGORITHMS = ("md5", "sha256", "blake3")
"""What manifests are written in: MD5 as the user asked, SHA-256 for every standard tool, BLAKE3 for speed."""

BLOCK_BYTES = 1 << 20


class Hasher(Protocol):
    """What hashlib and blake3 have in common."""

    def update(self, data: Any, /) -> Any:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Lowercase hex of all bytes so far."""

    def digest(self) -> bytes:
        """The digest of all bytes so far."""

    def copy(self) -> Hasher:
        """Another one that goes on from here."""


def hasher(algorithm: str) -> Hasher:
    """A fresh hasher; `algorithm` is one of `ALGORITHMS`."""
    if algorithm == "blake3":
        from blake3 import blake3

        return blake3()
    return hashlib.new(algorithm, usedforsecurity=False)


def file_digests(
    file: BinaryIO,
    algorithms: Iterable[str],
    on_bytes: Callable[[int], None] | None = None,
    maximal_bytes: int | None = None,
) -> dict[str, str]:
    """Lowercase hex digests of what is left to read of `file`, by algorithm.

    Args:
        file: unbuffered or not, open for reading.
        algorithms: names of `ALGORITHMS`.
        on_bytes: is told of every block.
        maximal_bytes: no block is read beyond them: a file that grows while it is read would never end.
    """
    hashers = {algorithm: hasher(algorithm) for algorithm in algorithms}
    # A small file needs no large buffer: zeroing one takes longer than hashing a page.
    size = BLOCK_BYTES if maximal_bytes is None else min(BLOCK_BYTES, maximal_bytes + 1)
    buffer = memoryview(bytearray(size))
    left = maximal_bytes
    while (left is None or left >= 0) and (count := file.readinto(buffer)):  # type: ignore[attr-defined]
        left = None if left is None else left - count
        for each in hashers.values():
            each.update(buffer[:count])
        if on_bytes is not None:
            on_bytes(count)
    return {algorithm: each.hexdigest() for algorithm, each in hashers.items()}


def mapped_digests(file: BinaryIO, algorithms: Iterable[str], on_bytes: Callable[[int], None]) -> dict[str, str]:
    """As `file_digests`, of the whole of a file that is not empty, without a copy of its bytes.

    For a process that may be lost: one whose file becomes shorter meanwhile is ended by SIGBUS.
    """
    hashers = {algorithm: hasher(algorithm) for algorithm in algorithms}
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as data:
        for start in range(0, len(data), BLOCK_BYTES):
            with data[start : start + BLOCK_BYTES] as block:
                for each in hashers.values():
                    each.update(block)
                on_bytes(len(block))
    return {algorithm: each.hexdigest() for algorithm, each in hashers.items()}


def bytes_digests(data: bytes, algorithms: Iterable[str]) -> dict[str, str]:
    """Lowercase hex digests of `data`, by algorithm."""
    return file_digests(io.BytesIO(data), algorithms, maximal_bytes=len(data))


def sha256_of(data: bytes) -> str:
    """Lowercase hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def content_swhid(data: bytes) -> str:
    """The Software Heritage identifier of a file's content (ISO/IEC 18670), which is how git names it, too."""
    digest = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return f"swh:1:cnt:{digest}"


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and no spaces, in ASCII: equal values give equal bytes."""
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
