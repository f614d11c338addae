"""Datasets of an HDF5 file that are stored in chunks, packed with gzip or not."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.storage.guards import check_growth
from archiver.storage.hdf5_format import UNDEFINED, Source, leaves
from archiver.storage.hdf5_types import GZIP, SHUFFLE, Dataset

MAXIMAL_CHUNKS = 1_000_000
"""Of all tensors of a file."""
MAXIMAL_BAND_BYTES = 64 << 20
"""Of the chunks along the first axis that are put together at a time: what reading in C order needs in memory."""

Index = dict[tuple[int, ...], "Chunk"]
"""Chunks by the position of their first element."""


@dataclass(frozen=True)
class Chunk:
    """Where a chunk is, and which filters were left out for it (a bit for each)."""

    address: int
    stored_bytes: int
    skipped: int


def read_index(source: Source, found: Dataset, what: str) -> Index:
    """All chunks of a dataset, which must be there without gaps.

    Raises:
        UnsafeFileError: too large to be read in order, or unpacking to far more than is stored.
        ValueError: chunks are missing, twice there or out of place.
    """
    shape, chunk = found.entry.shape, found.layout.chunk or ()
    if not found.entry.size_bytes:
        return {}
    band = math.prod((chunk[0], *(_rounded(*pair) for pair in zip(shape[1:], chunk[1:], strict=True))))
    if band * found.entry.item_bytes > MAXIMAL_BAND_BYTES:
        received = f"{band * found.entry.item_bytes} bytes of chunks {chunk} side by side"
        source.refuse(f"{what} takes too much memory to read in order", received, f"at most {MAXIMAL_BAND_BYTES}")
    if found.layout.address == UNDEFINED:
        source.refuse(f"{what} was never written", f"{found.entry.size_bytes} bytes declared, 0 stored", "stored bytes")
    expected = math.prod(-(-length // width) for length, width in zip(shape, chunk, strict=True))
    require_few(source, expected)
    index = _collect(source, found)
    if len(index) != expected:
        raise ValueError(f"{len(index)} of {expected} chunks are there")
    check_growth(source.where, f"{what} is far larger than what is stored", found.entry.size_bytes, stored_bytes(index))
    return index


def require_few(source: Source, count: int) -> None:
    """Refuse more than `MAXIMAL_CHUNKS`."""
    if count > MAXIMAL_CHUNKS:
        source.refuse("too many chunks", count, f"at most {MAXIMAL_CHUNKS}")


def stored_bytes(index: Index) -> int:
    """Bytes of all chunks as they are in the file."""
    return sum(chunk.stored_bytes for chunk in index.values())


def _collect(source: Source, found: Dataset) -> Index:
    shape, chunk = found.entry.shape, found.layout.chunk or ()
    index: Index = {}
    for leaf in leaves(source, found.layout.address, kind=1, key_bytes=8 * (len(shape) + 2)):
        numbers = np.frombuffer(leaf.key, "<u4", 2)
        start = tuple(np.frombuffer(leaf.key, "<u8", offset=8).tolist()[:-1])
        outside = any(
            first >= length or first % width for first, length, width in zip(start, shape, chunk, strict=True)
        )
        if outside or start in index:
            raise ValueError(f"a chunk at {start} is out of place or twice there")
        if numbers[0] > 2 * math.prod(chunk) * found.entry.item_bytes + 1024:
            raise ValueError(f"a chunk at {start} is stored in {numbers[0]} bytes, more than it can need")
        source.require(leaf.child, int(numbers[0]))
        index[start] = Chunk(leaf.child, int(numbers[0]), int(numbers[1]))
    return index


def _rounded(length: int, width: int) -> int:
    return -(-length // width) * width


def bands(source: Source, found: Dataset, index: Index) -> Iterator[memoryview]:
    """The bytes of a dataset in C order, one row of chunks at a time."""
    shape, chunk = found.entry.shape, found.layout.chunk or ()
    if not index:
        return
    grid = [range(0, length, width) for length, width in zip(shape, chunk, strict=True)]
    for first in grid[0]:
        band = np.empty((min(chunk[0], shape[0] - first), *shape[1:]), f"V{found.entry.item_bytes}")
        for rest in itertools.product(*grid[1:]):
            inside = band[(slice(None), *(slice(at, at + width) for at, width in zip(rest, chunk[1:], strict=True)))]
            unpacked = _unpacked(source, found, index[(first, *rest)])
            inside[...] = unpacked[tuple(map(slice, inside.shape))]
        yield band.reshape(-1).view(np.uint8).data


def _unpacked(source: Source, found: Dataset, chunk: Chunk) -> NDArray[Any]:
    sizes, item_bytes = found.layout.chunk or (), found.entry.item_bytes
    expected = math.prod(sizes) * item_bytes
    packed = bytearray(chunk.stored_bytes)
    source.read_into(chunk.address, memoryview(packed))
    data = bytes(packed)
    for position, identifier in reversed(list(enumerate(found.layout.filters))):
        if chunk.skipped >> position & 1:
            continue
        if identifier == GZIP:
            data = _inflated(data, expected)
        elif identifier == SHUFFLE:
            data = np.frombuffer(data, np.uint8).reshape(item_bytes, -1).T.tobytes()
    if len(data) != expected:
        raise ValueError(f"a chunk unpacks to {len(data)} of {expected} bytes")
    return np.frombuffer(data, f"V{item_bytes}").reshape(sizes)


def _inflated(data: bytes, expected: int) -> bytes:
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(data, expected + 1)
    if not unpacker.eof:
        raise ValueError("a chunk is cut short, or unpacks to more than its shape")
    return unpacked
