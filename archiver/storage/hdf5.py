"""Reading the tensors of an HDF5 file of a stranger (`.weights.h5`, legacy `.h5`) without loading a model.

The whole file is looked at before anything of it is read: links that are not hard, datasets that live in other files,
filters beside gzip and shuffle, and sizes beyond all proportion are refused. Attributes are never read. Tried with
HDF5 1.14: tens of thousands of changed files ended in an error or other bytes, none in a crash. It is C code all the
same, so whoever reads a stranger's file does so in a process that may die.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from archiver.storage.guards import (
    BLOCK_BYTES,
    MAXIMAL_ITEM_BYTES,
    TensorEntry,
    Window,
    check_growth,
    find_tensor,
    length_of,
    reading,
    refuse,
)

MAXIMAL_DEPTH = 64
MAXIMAL_OBJECTS = 1_000_000
MAXIMAL_CHUNK_BYTES = 64 << 20
"""HDF5 unpacks a chunk as a whole, whatever little of it is asked for."""
MAXIMAL_CHUNKS = 100_000
"""Of one dataset: HDF5 keeps a node for each chunk that a reading touches."""
MAXIMAL_REREADING = 16
"""How many times a chunk may be unpacked while its dataset is read in order."""

_FILTERS = (1, 2)
_KINDS = "biufcSV"

Block = tuple[tuple[int, ...], tuple[int, ...]]
"""Start and count along each axis."""


class Hdf5Tensors:
    """The tensors of an HDF5 file; a location is the path of a dataset, such as `layers/dense/vars/0`.

    Raises:
        UnsafeFileError: something in the file is refused, whichever tensor is wanted.
        DamagedFileError: this is no HDF5 file, or its structure is broken.
    """

    def __init__(self, file: Any, where: str) -> None:
        import h5py

        self._where = where
        self._length = length_of(file)
        self.entries: dict[str, TensorEntry] = {}
        self._seen: dict[int, bytes] = {}
        with reading(where, "the HDF5 structure"):
            self._file = h5py.File(Window(file, 0, self._length), "r")
        try:
            self._survey()
        except BaseException:
            self.close()
            raise

    def digest(self, location: str) -> str:
        """SHA-256 (lowercase hex) of a tensor's bytes, little-endian and in C order, read in blocks.

        Raises:
            DamagedFileError: there is no such tensor, or it cannot be read.
        """
        entry = find_tensor(self.entries, self._where, location)
        digest = hashlib.sha256()
        with reading(self._where, f"tensor {location!r}"):
            for data in _contents(self._file.id, location, entry):
                digest.update(data)
        return digest.hexdigest()

    def close(self) -> None:
        """Forget the structure; the file stays open."""
        with reading(self._where, "the end of the file"):
            self._file.close()

    def _survey(self) -> None:
        """Fill `entries`, sorted by location, or refuse."""
        found: dict[str, TensorEntry] = {}
        pending = [b""]
        while pending:
            path = pending.pop()
            with reading(self._where, f"group {_text(path)!r}"):
                for name in self._names(path):
                    inner = path + b"/" + name if path else name
                    entry = self._visit(path, name, inner)
                    if entry is None:
                        pending.append(inner)
                    else:
                        found[_text(inner)] = entry
        self.entries.update(sorted(found.items()))
        declared = sum(entry.size_bytes for entry in found.values())
        check_growth(self._where, "the tensors together are far larger than the file", declared, self._length)

    def _names(self, path: bytes) -> list[bytes]:
        from h5py import h5g, h5o

        group = h5g.open(self._file.id, path or b"/")
        if not path:
            self._seen[h5o.get_info(group).addr] = b"/"
        elif path.count(b"/") >= MAXIMAL_DEPTH:
            what = f"group {_text(path)[:200]!r} is nested too deep"
            refuse(self._where, what, f"{path.count(b'/') + 1} levels", f"at most {MAXIMAL_DEPTH}")
        names: list[bytes] = []

        def collect(name: bytes) -> bool | None:
            names.append(name)
            return True if len(names) + len(self._seen) > MAXIMAL_OBJECTS else None  # True ends the iteration

        group.links.iterate(collect)
        if len(names) + len(self._seen) > MAXIMAL_OBJECTS:
            refuse(self._where, "too many objects", f"more than {MAXIMAL_OBJECTS}", f"at most {MAXIMAL_OBJECTS}")
        return names

    def _visit(self, path: bytes, name: bytes, inner: bytes) -> TensorEntry | None:
        """The entry of a dataset, None for a group."""
        from h5py import h5d, h5g, h5l, h5o

        what = f"object {_text(inner)[:200]!r}"
        if name in (b"", b".", b"..") or b"/" in name:
            refuse(self._where, f"{what} has an unsafe name", repr(name), "a name that is no path")
        group = h5g.open(self._file.id, path or b"/")
        link = group.links.get_info(name).type
        if link != h5l.TYPE_HARD:
            received = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link to another file"}
            refuse(self._where, f"{what} is not followed", received.get(link, f"link type {link}"), "hard links only")
        status = h5o.get_info(group, name)
        if status.addr in self._seen:
            other = _text(self._seen[status.addr])[:200]
            refuse(self._where, f"{what} is another name of {other!r}", "a second hard link", "one for each object")
        self._seen[status.addr] = inner
        if status.type == h5o.TYPE_GROUP:
            return None
        if status.type != h5o.TYPE_DATASET:
            refuse(self._where, f"{what} is no tensor", f"object type {status.type}", "groups and datasets")
        return _checked(h5d.open(group, name), self._where, what)


def _checked(dataset: Any, where: str, what: str) -> TensorEntry:
    """The entry of a dataset that may be read. The order matters: its shape may open other files if it is virtual."""
    creation = dataset.get_create_plist()
    _check_layout(creation, where, what)
    dtype = _checked_dtype(dataset, where, what)
    if dataset.get_space().get_simple_extent_ndims() == 0 and not dataset.get_space().get_select_npoints():
        refuse(where, f"{what} has no value", "a null dataspace", "a tensor")
    entry = TensorEntry(dtype.name, tuple(int(size) for size in dataset.shape), dtype.itemsize)
    check_growth(where, f"{what} is far larger than what is stored", entry.size_bytes, dataset.get_storage_size())
    _check_chunks(creation, entry, where, what)
    return entry


def _check_layout(creation: Any, where: str, what: str) -> None:
    from h5py import h5d

    if creation.get_layout() == h5d.VIRTUAL:
        refuse(where, f"{what} is put together from other files", "a virtual dataset", "tensors in this file")
    if creation.get_external_count():
        refuse(where, f"{what} lies in another file", "external storage", "tensors in this file")
    filters = [creation.get_filter(index)[0] for index in range(creation.get_nfilters())]
    if not set(filters) <= set(_FILTERS):
        refuse(where, f"{what} is packed in another way", f"HDF5 filters {filters}", "gzip (1), shuffle (2) or none")


def _checked_dtype(dataset: Any, where: str, what: str) -> np.dtype[Any]:
    stored = dataset.get_type()
    dtype: np.dtype[Any] = stored.dtype
    if dtype.kind not in _KINDS or dtype.names or dtype.subdtype or dtype.itemsize != stored.get_size():
        refuse(where, f"{what} has another type", f"{str(dtype)[:200]!r}", "numbers, or bytes of a fixed length")
    if not 0 < dtype.itemsize <= MAXIMAL_ITEM_BYTES:
        refuse(where, f"{what} has large elements", f"{dtype.itemsize} bytes", f"1 to {MAXIMAL_ITEM_BYTES}")
    return dtype


def _check_chunks(creation: Any, entry: TensorEntry, where: str, what: str) -> None:
    from h5py import h5d

    if creation.get_layout() != h5d.CHUNKED or not entry.size_bytes:
        return
    chunk = creation.get_chunk()
    size = math.prod(chunk) * entry.item_bytes
    if size > MAXIMAL_CHUNK_BYTES:
        refuse(where, f"{what} has large chunks", f"{size} bytes each", f"at most {MAXIMAL_CHUNK_BYTES}")
    count = math.prod(-(-length // step) for length, step in zip(entry.shape, chunk, strict=True))
    if count > MAXIMAL_CHUNKS:
        refuse(where, f"{what} has many chunks", count, f"at most {MAXIMAL_CHUNKS}")
    times = _rereading(entry, chunk)
    if times > MAXIMAL_REREADING:
        received = f"chunks {chunk} of {entry.shape}, each to be unpacked {times} times"
        refuse(where, f"{what} cannot be read in order at bounded cost", received, f"at most {MAXIMAL_REREADING}")


def _rereading(entry: TensorEntry, chunk: tuple[int, ...]) -> int:
    """How many blocks each chunk lies in."""
    axis, step = split(entry.shape, entry.item_bytes, MAXIMAL_CHUNK_BYTES)
    used = [min(length, width) for length, width in zip(entry.shape, chunk, strict=True)]
    return math.prod(used[:axis]) * -(-used[axis] // step)


def split(shape: tuple[int, ...], item_bytes: int, limit: int) -> tuple[int, int]:
    """How to read in order: one by one along the axes before `axis`, `step` at a time along it, whole behind it.

    Needs a non-empty shape without zeros, and `item_bytes <= limit`.
    """
    inner, axis = item_bytes, len(shape) - 1
    while axis and inner * shape[axis] <= limit:
        inner *= shape[axis]
        axis -= 1
    return axis, min(shape[axis], limit // inner)


def blocks(shape: tuple[int, ...], item_bytes: int, limit: int) -> Iterator[Block]:
    """Parts of at most `limit` bytes whose bytes follow each other in C order; none of an empty array."""
    if not math.prod(shape):
        return
    if not shape:
        yield (), ()
        return
    axis, step = split(shape, item_bytes, limit)
    for outer in itertools.product(*map(range, shape[:axis])):
        for first in range(0, shape[axis], step):
            start = (*outer, first, *(0 for _ in shape[axis + 1 :]))
            yield start, (*(1 for _ in outer), min(step, shape[axis] - first), *shape[axis + 1 :])


def _contents(file: Any, location: str, entry: TensorEntry) -> Iterator[memoryview]:
    """The bytes of a tensor, little-endian and in C order; each view is valid until the next."""
    from h5py import h5d, h5s

    dataset = h5d.open(file, location.encode("utf-8", "surrogateescape"))
    stored = dataset.get_type()
    dtype = stored.dtype
    if stored.get_size() != entry.item_bytes:
        raise ValueError("its type has changed since the file was opened")
    chunked = dataset.get_create_plist().get_layout() == h5d.CHUNKED
    limit = MAXIMAL_CHUNK_BYTES if chunked else BLOCK_BYTES
    buffer = np.empty(min(limit, entry.size_bytes), np.uint8)
    for start, count in blocks(entry.shape, entry.item_bytes, limit):
        part = buffer[: math.prod(count) * entry.item_bytes]
        space = dataset.get_space()
        if start:
            space.select_hyperslab(start, count)
        # Asked for in the type it is stored in, HDF5 converts nothing: these are the bytes of the file.
        dataset.read(h5s.create_simple(count) if count else space, space, part, stored)
        yield (part if dtype.byteorder != ">" else part.view(dtype).byteswap().view(np.uint8)).data


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
