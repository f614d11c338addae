"""The tensors of an HDF5 file of a stranger (`.weights.h5`, legacy `.h5`), read without loading a model.

The whole structure is looked at before any tensor is read: links that are not hard, datasets in other files, filters
beside gzip and shuffle, and sizes beyond all proportion are refused. Attributes are never read. See
`archiver.storage.hdf5_format` for which files are read, and why not by the HDF5 library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from archiver.storage.guards import BLOCK_BYTES, TensorEntry, check_growth, find_tensor, reading
from archiver.storage.hdf5_chunks import Index, bands, read_index, require_few, stored_bytes
from archiver.storage.hdf5_format import LAYOUT, Source, links, read_header, root_address
from archiver.storage.hdf5_types import Dataset, dataset, unknown

MAXIMAL_DEPTH = 64
MAXIMAL_OBJECTS = 1_000_000


class Hdf5Tensors:
    """The tensors of an HDF5 file; a location is the path of a dataset, such as `layers/dense/vars/0`.

    Args:
        file: open for reading.
        where: what messages call it.
        packed: locations of datasets that are never unpacked, and so may be packed in any way.

    Raises:
        UnsafeFileError: something in the file is refused, whichever tensor is wanted.
        DamagedFileError: this is no HDF5 file, or its structure is broken.
    """

    def __init__(self, file: Any, where: str, packed: Collection[str] = ()) -> None:
        self._where, self._packed = where, packed
        self._source = Source(file, where)
        self._seen: dict[int, str] = {}
        self._datasets: dict[str, Dataset] = {}
        self._indexes: dict[str, Index] = {}
        self._chunks = 0
        with reading(where, "the HDF5 structure"):
            self._survey(root_address(self._source))
        self.entries: dict[str, TensorEntry] = {
            location: found.entry for location, found in sorted(self._datasets.items())
        }
        self._check_sizes()

    def digest(self, location: str) -> str:
        """SHA-256 (lowercase hex) of a tensor's bytes, little-endian and in C order, read in blocks.

        Raises:
            DamagedFileError: there is no such tensor, or it cannot be read.
        """
        digest = hashlib.sha256()
        for data in self.blocks(location):
            digest.update(data)
        return digest.hexdigest()

    def blocks(self, location: str) -> Iterator[memoryview | bytes]:
        """A tensor's bytes in blocks of whole elements, little-endian and in C order; each is valid until the next.

        Raises:
            DamagedFileError: there is no such tensor, or it cannot be read.
        """
        find_tensor(self.entries, self._where, location)
        with reading(self._where, f"tensor {location!r}"):
            yield from self._contents(location)

    def packed_chunks(self, location: str) -> Iterator[bytes]:
        """The chunks of a tensor of one chunk per entry of its first axis, in order, as they lie in the file.

        Raises:
            DamagedFileError: there is no such tensor, or it is not stored in this way.
        """
        find_tensor(self.entries, self._where, location)
        with reading(self._where, f"tensor {location!r}"):
            index = self._indexes[location]
            rest = (0,) * (len(self.entries[location].shape) - 1)
            for number in range(self.entries[location].shape[0]):
                chunk = index[number, *rest]
                data = bytearray(chunk.stored_bytes)
                self._source.read_into(chunk.address, memoryview(data))
                yield bytes(data)

    def content(self, location: str) -> bytes:
        """All bytes of a tensor, little-endian and in C order.

        Raises:
            DamagedFileError: there is no such tensor, or it cannot be read.
        """
        return b"".join(map(bytes, self.blocks(location)))

    def _survey(self, root: int) -> None:
        pending = [("", root, 0)]
        while pending:
            path, address, depth = pending.pop()
            what = f"object {'/' + path[-200:]!r}"
            with reading(self._where, what):
                self._check_object(address, path, depth, what)
                header = read_header(self._source, address, what)
                if header.is_group:
                    for name, child in links(self._source, header, what):
                        pending.append((self._join(path, name), child, depth + 1))
                elif LAYOUT in header.messages:
                    is_packed = path in self._packed
                    self._add(path, dataset(self._source, header.messages, what, is_packed=is_packed), what)
                else:
                    unknown(self._source, what)

    def _add(self, path: str, found: Dataset, what: str) -> None:
        self._datasets[path] = found
        if found.layout.chunk is not None:
            self._indexes[path] = index = read_index(self._source, found, what)
            self._chunks += len(index)
            require_few(self._source, self._chunks)

    def _check_object(self, address: int, path: str, depth: int, what: str) -> None:
        if address in self._seen:
            received = f"a second hard link to {'/' + self._seen[address][-200:]!r}"
            self._source.refuse(f"{what} is another name of an object", received, "one name each")
        self._seen[address] = path
        if len(self._seen) > MAXIMAL_OBJECTS:
            self._source.refuse("too many objects", f"more than {MAXIMAL_OBJECTS}", f"at most {MAXIMAL_OBJECTS}")
        if depth > MAXIMAL_DEPTH:
            self._source.refuse(f"{what} is nested too deep", f"{depth} levels", f"at most {MAXIMAL_DEPTH}")

    def _join(self, path: str, name: bytes) -> str:
        text = name.decode("utf-8", "surrogateescape")
        joined = f"{path}/{text}" if path else text
        self._source.charge(len(joined))
        return joined

    def _check_sizes(self) -> None:
        plain = (found.entry.size_bytes for found in self._datasets.values() if found.layout.chunk is None)
        stored = sum(plain) + sum(map(stored_bytes, self._indexes.values()))
        if stored > self._source.length:
            received = f"{stored} bytes of tensors in {self._source.length} bytes"
            self._source.refuse("tensors overlap", received, "each byte to belong to one tensor")
        declared = sum(entry.size_bytes for entry in self.entries.values())
        check_growth(self._where, "the tensors are far larger than the file", declared, self._source.length)

    def _contents(self, location: str) -> Iterator[memoryview | bytes]:
        """The bytes of a tensor, little-endian; each part is valid until the next."""
        found = self._datasets[location]
        chunked = found.layout.chunk is not None
        parts = bands(self._source, found, self._indexes[location]) if chunked else self._plain(found)
        return (_swapped(part, found.entry.item_bytes) for part in parts) if found.big_endian else parts

    def _plain(self, found: Dataset) -> Iterator[memoryview | bytes]:
        if found.layout.inline is not None:
            yield found.layout.inline
            return
        size = found.entry.size_bytes
        step = BLOCK_BYTES // found.entry.item_bytes * found.entry.item_bytes
        buffer = memoryview(bytearray(min(step, size)))
        for start in range(0, size, step):
            part = buffer[: min(step, size - start)]
            self._source.read_into(found.layout.address + start, part)
            yield part


def _swapped(data: memoryview | bytes, item_bytes: int) -> bytes:
    return np.frombuffer(data, np.uint8).reshape(-1, item_bytes)[:, ::-1].tobytes()
