"""Reading the arrays of a `.npz` of a stranger: never pickle, never more than a block of a large array in memory."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from archiver.errors import DamagedFileError
from archiver.storage.guards import (
    BLOCK_BYTES,
    MAXIMAL_ITEM_BYTES,
    TensorEntry,
    fill,
    find_tensor,
    reading,
    refuse,
)
from archiver.storage.zips import SafeZip

Array = NDArray[Any]
DType = np.dtype[Any]

SUFFIX = ".npy"
MAXIMAL_HEADER_BYTES = 10_000
MAXIMAL_LOADED_BYTES = 1 << 30
"""An array in Fortran order is loaded as a whole to be put into C order; `write_npz` writes none."""

_MAGIC = re.compile(rb"\x93NUMPY([\x01-\x03])\0", re.DOTALL)
_HEADER = re.compile(
    r"\{'descr': '([<>|=]?[biufcSUVMm]\d{0,9}(?:\[\w{1,20}\])?)', "
    r"'fortran_order': (True|False), 'shape': \(((?:\d{1,19}L?, ?){0,63}(?:\d{1,19}L?)?)\),? ?\} *\n"
)


@dataclass(frozen=True)
class _Header:
    """What stands before the data of an `.npy` member."""

    dtype: DType
    fortran_order: bool
    shape: tuple[int, ...]
    header_bytes: int


class NpzTensors:
    """The arrays of a `.npz`; a location is the name of an array.

    Raises:
        UnsafeFileError: a type or size is refused, whichever array is wanted.
        DamagedFileError: a member is no array, or not as long as its header says.
    """

    def __init__(self, archive: SafeZip, where: str) -> None:
        self._archive, self._where = archive, where
        self._headers = {name.removesuffix(SUFFIX): self._header(name) for name in sorted(archive.members)}
        self.entries = {
            location: TensorEntry(header.dtype.name, header.shape, header.dtype.itemsize)
            for location, header in self._headers.items()
        }

    def _header(self, name: str) -> _Header:
        what = f"member {name[:200]!r}"
        if not name.endswith(SUFFIX):
            raise DamagedFileError(f"{self._where}: {what} is no array. Expected a name that ends with {SUFFIX}.")
        # In place where it can be: a CRC that is wrong must not hide which of the arrays is damaged, and which are not.
        with self._archive.window(name) or self._archive.open(name) as member, reading(self._where, what):
            header = _read_header(member, self._where, what)
            size = header.header_bytes + math.prod(header.shape) * header.dtype.itemsize
        received = self._archive.members[name].file_size
        if size != received:
            raise DamagedFileError(
                f"{self._where}: {what} is not as long as its header says. Received {received} bytes. Expected {size}."
            )
        return header

    def digest(self, location: str) -> str:
        """SHA-256 (lowercase hex) of an array's bytes, little-endian and in C order, read in blocks.

        Raises:
            UnsafeFileError: an array of more than `MAXIMAL_LOADED_BYTES` in Fortran order.
            DamagedFileError: there is no such array, or its bytes are broken.
        """
        digest = hashlib.sha256()
        for data in self.blocks(location):
            digest.update(data)
        return digest.hexdigest()

    def blocks(self, location: str) -> Iterator[memoryview | bytes]:
        """An array's bytes in blocks of whole elements, little-endian and in C order; each is valid until the next.

        Raises:
            UnsafeFileError: an array of more than `MAXIMAL_LOADED_BYTES` in Fortran order.
            DamagedFileError: there is no such array, or its bytes are broken.
        """
        entry = find_tensor(self.entries, self._where, location)
        header = self._headers[location]
        if header.fortran_order and len(entry.shape) > 1:
            array = self.load(location)
            yield np.asarray(array.astype(header.dtype.newbyteorder("<"), copy=False), order="C").tobytes()
            return
        name = location + SUFFIX
        # In place where it can be: digests say more than the zip file's CRC.
        with self._archive.window(name) or self._archive.open(name) as member, reading(self._where, f"array {name!r}"):
            fill(member, memoryview(bytearray(header.header_bytes)))
            yield from _blocks(member, entry.size_bytes, header.dtype)

    def load(self, location: str) -> Array:
        """One array, with the type and order it is stored with.

        Raises:
            UnsafeFileError: it is in Fortran order and larger than `MAXIMAL_LOADED_BYTES`.
            DamagedFileError: there is no such array, or its bytes are broken.
        """
        entry = find_tensor(self.entries, self._where, location)
        header = self._headers[location]
        if header.fortran_order and entry.size_bytes > MAXIMAL_LOADED_BYTES:
            what = f"array {location!r} in Fortran order is too large"
            refuse(self._where, what, f"{entry.size_bytes} bytes", f"at most {MAXIMAL_LOADED_BYTES}")
        with self._archive.open(location + SUFFIX) as member, reading(self._where, f"array {location!r}"):
            fill(member, memoryview(bytearray(header.header_bytes)))
            array = np.empty(math.prod(entry.shape), header.dtype)
            fill(member, array.view(np.uint8).data)
            return array.reshape(entry.shape, order="F" if header.fortran_order else "C")


def _read_header(member: BinaryIO, where: str, what: str) -> _Header:
    # Not NumPy's own reader: it evaluates the text, and warns about what Python 2 wrote.
    magic = _MAGIC.fullmatch(member.read(8))
    if magic is None:
        raise ValueError("it does not begin like an array")
    width = 2 if magic[1] == b"\x01" else 4
    length = int.from_bytes(member.read(width), "little")
    if length > MAXIMAL_HEADER_BYTES:
        refuse(where, f"{what} has a long header", f"{length} bytes", f"at most {MAXIMAL_HEADER_BYTES}")
    text = member.read(length).decode("latin-1")
    match = _HEADER.fullmatch(text)
    if match is None:
        refuse(where, f"{what} has an unusual header", repr(text[:200]), "an array of numbers, text, bytes or times")
    dtype = np.dtype(match[1])
    if not 0 < dtype.itemsize <= MAXIMAL_ITEM_BYTES:
        refuse(where, f"{what} has large elements", f"{dtype.itemsize} bytes", f"1 to {MAXIMAL_ITEM_BYTES}")
    shape = tuple(int(size) for size in re.findall(r"\d+", match[3]))
    return _Header(dtype, match[2] == "True", shape, 8 + width + length)


def _blocks(member: BinaryIO, size: int, dtype: DType) -> Iterator[memoryview]:
    """The data in blocks of whole elements, little-endian; each view is valid until the next."""
    block = BLOCK_BYTES // dtype.itemsize * dtype.itemsize
    buffer = np.empty(min(block, size), np.uint8)
    for start in range(0, size, block):
        part = buffer[: min(block, size - start)]
        fill(member, part.data)
        swapped = dtype.byteorder == ">"
        yield (part.view(dtype).byteswap().view(np.uint8) if swapped else part).data
