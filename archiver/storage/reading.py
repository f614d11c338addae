"""Reading a file of an archive that may come from a stranger: no link is followed, and there is a limit."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from archiver.errors import UnsafeFileError
from archiver.storage.beneath import open_beneath, open_sized_beneath, opened_folder
from archiver.storage.guards import FREE_BYTES, MAXIMAL_GROWTH, check_growth

PIECE_BYTES = 1 << 16


def whole_lines(data: bytes) -> Iterator[bytes]:
    """The lines of `data` that end with a line feed, one at a time: a list of all of them can be very long."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield data[start:end]
        start = end + 1


def count_values(data: bytes) -> int:
    """About how many values JSON has, from its commas and brackets: each can take a hundred bytes of memory."""
    return sum(data.count(mark) for mark in (b",", b"[", b"{"))


def open_below(folder: Path, path: str) -> BinaryIO:
    """The regular file `path` below `folder`, open for reading, unbuffered.

    Raises:
        UnsafeFileError: a component of the path is a link, or what is there is no regular file.
        OSError: it is not there, or not permitted.
    """
    with opened_folder(folder) as root:
        return os.fdopen(open_beneath(root, path), "rb", buffering=0)


def require_stored(file: BinaryIO, where: str) -> None:
    """Refuse a large file that is nearly all holes: a terabyte of nothing takes minutes to read and no room to send.

    Raises:
        UnsafeFileError: more than `FREE_BYTES`, and more than `MAXIMAL_GROWTH` times what is stored.
    """
    size, stored, position = os.fstat(file.fileno()).st_size, 0, 0
    while size > max(FREE_BYTES, MAXIMAL_GROWTH * stored):
        try:
            start = os.lseek(file.fileno(), position, os.SEEK_DATA)
            position = os.lseek(file.fileno(), start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # this file system does not tell
                break
            check_growth(where, "it is far larger than what is stored", size, stored)
            break
        stored += position - start
    file.seek(0)


def read_head(folder: Path, path: str, count: int) -> bytes:
    """The first `count` bytes of the regular file `path` below `folder`, or all where there are fewer.

    Raises:
        UnsafeFileError: see `open_below`.
        OSError: it is not there, or not permitted.
    """
    with open_below(folder, path) as file:
        return file.read(count)


def read_below(folder: Path, path: str, limit: int) -> bytes:
    """All bytes of the regular file `path` below `folder`.

    Raises:
        UnsafeFileError: see `open_below`; or it has more than `limit` bytes.
        OSError: it is not there, or not permitted.
    """
    with opened_folder(folder) as root:
        return read_beneath(root, path, limit)


def read_beneath(root: int, path: str, limit: int) -> bytes:
    """As `read_below`, below an open folder (a descriptor)."""
    descriptor, size = open_sized_beneath(root, path)
    try:
        # In pieces no larger than what is there: Python sets memory aside for all that is asked for.
        data = b"" if size > limit else os.read(descriptor, size + 1)
        if len(data) != size:
            while size <= limit and len(data) <= limit and (more := os.read(descriptor, PIECE_BYTES)):
                data += more
    finally:
        os.close(descriptor)
    if size > limit or len(data) > limit:
        raise UnsafeFileError(f"{path}: Received {max(size, len(data))} bytes. Expected at most {limit}.")
    return data
