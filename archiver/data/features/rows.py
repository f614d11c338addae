"""The .npy file of features: where the rows of a batch are, and whether they are whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from archiver.data.features.records import Header, Progress
from archiver.storage.digests import file_digests, hasher
from archiver.storage.files import explained

HEAD_BYTES = 256
"""Of one length with every NumPy, so that a file can be gone on with by another one."""
_MAGIC = b"\x93NUMPY\x01\x00"
_LENGTH_BYTES = 2


def head(header: Header) -> bytes:
    """What the file begins with: version 1.0 of NumPy's format."""
    text = f"{{'descr': {header.dtype!r}, 'fortran_order': False, 'shape': {tuple(header.shape)!r}, }}"
    length = HEAD_BYTES - len(_MAGIC) - _LENGTH_BYTES
    return _MAGIC + length.to_bytes(_LENGTH_BYTES, "little") + text.ljust(length - 1).encode() + b"\n"


def rows_of(header: Header, number: int) -> tuple[int, int]:
    """The first window of a batch, and the first after it."""
    first = number * header.batch_size
    return first, min(first + header.batch_size, header.shape[0])


def row_bytes(header: Header) -> int:
    """The size of the features of one window."""
    return int(np.prod(header.shape[1:], dtype=np.int64)) * np.dtype(header.dtype).itemsize


def file_bytes(header: Header) -> int:
    """The size of the whole file."""
    return HEAD_BYTES + header.shape[0] * row_bytes(header)


def is_whole(path: Path, progress: Progress, number: int) -> bool:
    """Whether the rows of a batch have the digest that was written when they were computed."""
    header = progress.header
    if header is None or number not in progress.digests:
        return False
    first, last = rows_of(header, number)
    size = row_bytes(header)
    with explained("read", path), path.open("rb") as file:
        file.seek(HEAD_BYTES + first * size)
        return digest_of(file.read((last - first) * size)) == progress.digests[number]


def digest_of(data: bytes) -> str:
    """BLAKE3 of bytes, in hex."""
    found = hasher("blake3")
    found.update(data)
    return found.hexdigest()


def file_digest(path: Path) -> str:
    """BLAKE3 of the whole file, in hex."""
    with explained("read", path), path.open("rb") as file:
        return file_digests(file, ["blake3"])["blake3"]
