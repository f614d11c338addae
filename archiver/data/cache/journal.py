"""A commit: changes to the committed part of a cache, written beside it before they are made.

`<path>.journal` is one line of JSON, the changed pages, and a BLAKE3 of both. Where it is whole, the commit is made
(again, if need be: it may be made twice); where it is torn, nothing was changed, and the commit never happened.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver.data.cache.held_file import PAGE_BYTES, HeldFile
from archiver.data.lines import whole_lines
from archiver.storage import files
from archiver.storage.digests import hasher

DIGEST_BYTES = 32


@dataclass(frozen=True)
class Commit:
    """What is changed: pages by number, the size afterwards, and the line of the manifest."""

    pages: dict[int, bytes]
    size_bytes: int
    line: str

    def packed(self) -> bytes:
        """The bytes of the journal."""
        numbers = sorted(self.pages)
        sizes = [len(self.pages[number]) for number in numbers]
        head = {"pages": numbers, "sizes": sizes, "size_bytes": self.size_bytes, "line": self.line}
        body = json.dumps(head).encode() + b"\n" + b"".join(self.pages[number] for number in numbers)
        return body + _digest(body)


def unpacked(data: bytes) -> Commit | None:
    """The commit of a journal; None where it is torn."""
    body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if not body or _digest(body) != digest:
        return None
    head, _, rest = body.partition(b"\n")
    fields: dict[str, Any] = json.loads(head)
    pages: dict[int, bytes] = {}
    for number, size in zip(fields["pages"], fields["sizes"], strict=True):
        pages[number], rest = rest[:size], rest[size:]
    return Commit(pages, fields["size_bytes"], fields["line"])


def journal_path(cache: Path) -> Path:
    """Of the cache at a path."""
    return cache.with_name(f"{cache.name}.journal")


def commit(held: HeldFile, manifest: Path, line: bytes) -> None:
    """Make the changes that are held, and append the line to the manifest: both or neither.

    Raises:
        StorageError: the file system refused; nothing is changed then, or the next opening completes it.
    """
    with files.explained("write", held.path):
        held.to_disk()
    made = Commit(held.committed_pages(), held.size_bytes, line.decode())
    journal = journal_path(held.path)
    with files.replacing(journal) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            files.write_all(descriptor, made.packed())
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    carry_out(held.path, manifest, made)


def carry_out(cache: Path, manifest: Path, made: Commit) -> None:
    """Make a commit that is in the journal; may be called again after it was cut off.

    Raises:
        StorageError: the file system refused; the journal stays.
    """
    with files.explained("write", cache):
        descriptor = os.open(cache, os.O_RDWR | os.O_CLOEXEC)
        try:
            for number, page in made.pages.items():
                _write_at(descriptor, page, number * PAGE_BYTES)
            os.ftruncate(descriptor, made.size_bytes)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    append_line(manifest, made.line.encode())
    files.remove(journal_path(cache))


def recover(cache: Path, manifest: Path) -> None:
    """Carry out the commit that was cut off, if there is one, and drop a torn one.

    Raises:
        StorageError: the file system refused.
    """
    journal = journal_path(cache)
    if journal.exists():
        with files.explained("read", journal):
            made = unpacked(journal.read_bytes())
        if made is not None:
            carry_out(cache, manifest, made)
        files.remove(journal)


def append_line(manifest: Path, line: bytes) -> None:
    """Append a line behind the whole ones, unless it is the last one.

    Raises:
        StorageError: the file system refused.
    """
    lines = list(whole_lines(manifest))
    with files.explained("append to", manifest):
        descriptor = os.open(manifest, os.O_RDWR | os.O_CLOEXEC)
        try:
            length = sum(map(len, lines))
            os.ftruncate(descriptor, length)
            if lines[-1:] != [line]:
                _write_at(descriptor, line, length)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count


def _digest(data: bytes) -> bytes:
    found = hasher("blake3")
    found.update(data)
    return bytes.fromhex(found.hexdigest())
