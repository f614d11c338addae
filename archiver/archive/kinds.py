"""How files of an archive begin and end, by kind: whether one lost its end on the way, or has zeros in place of it.

Only what an intact file of its kind cannot look like counts: an edited file that became shorter was not cut short.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from archiver.archive.findings import Cause

END_BYTES = 1 << 17
"""So much of the beginning and of the end is looked at; the directory of a zip ends within 64 KiB of the end."""
BLOCK_BYTES = 4096
"""File systems and copying programs stop between two of these."""
MAXIMAL_ZEROS_BYTES = 64 << 20
"""So far back zeros are counted."""

_END_ADDRESS = struct.Struct("<40xQ")
_OLDEST_HDF5 = b"\x89HDF\r\n\x1a\n\0"


@dataclass(frozen=True)
class Kind:
    """How an intact file begins and ends."""

    beginning: bytes
    ends_whole: Callable[[bytes], bool]
    """Whether its last `END_BYTES` are those of a whole file."""


def _ends_with(text: bytes) -> Callable[[bytes], bool]:
    return lambda end: end.rstrip(b" \r\n").endswith(text)


def _ends_line(end: bytes) -> bool:
    return end.endswith(b"\n")


_ZIP = Kind(b"PK\x03\x04", lambda end: b"PK\x05\x06" in end)
_KINDS = {
    ".json": Kind(b"{", _ends_with(b"}")),
    ".jsonl": Kind(b"{", _ends_line),
    ".csv": Kind(b"elapsed_seconds,", _ends_line),
    ".md": Kind(b"---\n", _ends_line),
    ".html": Kind(b"<!DOCTYPE html", _ends_with(b"</html>")),
    ".svg": Kind(b"<?xml", _ends_with(b"</svg>")),
    ".keras": _ZIP,
    ".npz": _ZIP,
    ".zip": _ZIP,
}


def lost_end(file: BinaryIO, path: str, recorded_bytes: int | None) -> tuple[Cause, str] | None:
    """What happened to the end of a file that is not what was sealed; None where nothing can be told.

    Args:
        file: open for reading, seekable.
        path: in the archive; its suffix tells the kind.
        recorded_bytes: its size when it was sealed, where that is known.
    """
    size = file.seek(0, os.SEEK_END)
    is_shorter = recorded_bytes is not None and size < recorded_bytes
    beginning, end = _read(file, 0), _read(file, max(0, size - END_BYTES))
    kind = _KINDS.get(os.path.splitext(path)[1])
    if size and not beginning.strip(b"\0") and _zeros(file, size) == size:
        return "zeros", f"all of its {size:,} bytes are zeros (a copy that failed, a loss of power)"
    if kind is not None and beginning.startswith(kind.beginning) and not kind.ends_whole(end):
        if end.endswith(b"\0" * 16):
            zeros = _zeros(file, size)
            return "zeros", f"its last {zeros:,} of {size:,} bytes are zeros (a copy that failed, a loss of power)"
        if is_shorter:
            return _cut_short(size, recorded_bytes)
    if is_shorter and (size % BLOCK_BYTES == 0 or _lacks_what_it_declares(beginning, size)):
        return _cut_short(size, recorded_bytes)
    return None


def _cut_short(size: int, recorded_bytes: int | None) -> tuple[Cause, str]:
    return "cut_short", f"is cut short: {size:,} of {recorded_bytes:,} bytes (an interrupted copy, or a full disk)"


def _lacks_what_it_declares(beginning: bytes, size: int) -> bool:
    """HDF5's oldest superblock, which h5py writes, says at byte 40 where the file ends."""
    if not beginning.startswith(_OLDEST_HDF5) or len(beginning) < _END_ADDRESS.size:
        return False
    (end,) = _END_ADDRESS.unpack_from(beginning)
    return bool(end > size)


def _read(file: BinaryIO, position: int) -> bytes:
    file.seek(position)
    return file.read(END_BYTES)


def _zeros(file: BinaryIO, size: int) -> int:
    """How many bytes at the end are zeros, counted back to `MAXIMAL_ZEROS_BYTES` at most."""
    end = size
    while end > max(0, size - MAXIMAL_ZEROS_BYTES):
        start = max(0, end - END_BYTES)
        file.seek(start)
        kept = len(file.read(end - start).rstrip(b"\0"))
        if kept:
            return size - start - kept
        end = start
    return size - end
