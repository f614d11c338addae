"""Reading a file of an archive that may come from a stranger: no link is followed, and there is a limit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from archiver.errors import UnsafeFileError
from archiver.storage.beneath import open_beneath, opened_folder

PIECE_BYTES = 1 << 16


def open_below(folder: Path, path: str) -> BinaryIO:
    """The regular file `path` below `folder`, open for reading, unbuffered.

    Raises:
        UnsafeFileError: a component of the path is a link, or what is there is no regular file.
        OSError: it is not there, or not permitted.
    """
    with opened_folder(folder) as root:
        return os.fdopen(open_beneath(root, path), "rb", buffering=0)


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
    descriptor = open_beneath(root, path)
    try:
        size = os.fstat(descriptor).st_size
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
