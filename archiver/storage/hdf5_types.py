"""Types and shapes in the object headers of an HDF5 file."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import NoReturn

from archiver.storage.guards import MAXIMAL_ITEM_BYTES, TensorEntry
from archiver.storage.hdf5_format import DATASPACE, DATATYPE, EXTERNAL_FILES, FILTERS, LAYOUT, UNDEFINED, Source

GZIP, SHUFFLE = 1, 2

_INTEGER, _FLOAT, _STRING, _BITS, _OPAQUE, _RECORD, _ENUM = 0, 1, 3, 4, 5, 6, 8
_SIGNED = 0x8
_FIRST_TYPE, _SECOND_MEMBER = 48, 68
"""Where h5py's complex numbers, records of two floats r and i, have the type of r and the name of i."""
_LITTLE_FLOAT = b"\x11\x20"
_CLASSES = {2: "time", 6: "records", 7: "references", 9: "variable length", 10: "arrays", 11: "complex"}
_FLOATS = {
    (2, 5, 10): "float16",
    (2, 8, 7): "bfloat16",
    (4, 8, 23): "float32",
    (8, 11, 52): "float64",
    (16, 15, 64): "float128",
}
"""By bytes, bits of the exponent, bits of the mantissa."""
_COMPACT, _CONTIGUOUS, _CHUNKED = 0, 1, 2


@dataclass(frozen=True)
class Layout:
    """Where the bytes of a dataset are."""

    address: int
    """Of the bytes; of the tree of chunks if there are `chunk` sizes; 0 if `inline` has the bytes."""
    inline: bytes | None = None
    chunk: tuple[int, ...] | None = None
    filters: tuple[int, ...] = ()
    """In the order in which they were applied."""


@dataclass(frozen=True)
class Dataset:
    """A tensor of the file that may be read."""

    entry: TensorEntry
    big_endian: bool
    layout: Layout


def dataset(source: Source, header: dict[int, bytes], what: str, *, is_packed: bool = False) -> Dataset:
    """The dataset that an object header describes; with `is_packed`, filters may be any, as nothing is unpacked."""
    if EXTERNAL_FILES in header:
        source.refuse(f"{what} lies in another file", "external storage", "tensors in this file")
    if not header.keys() >= {DATASPACE, DATATYPE, LAYOUT}:
        raise ValueError("it has no shape, no type or no layout")
    dtype, item_bytes, big_endian = _type(source, header[DATATYPE], what)
    entry = TensorEntry(dtype, _shape(source, header[DATASPACE], what), item_bytes)
    return Dataset(entry, big_endian, _layout(source, header, entry, what, is_packed))


def _shape(source: Source, message: bytes, what: str) -> tuple[int, ...]:
    version, rank, kind = message[0], message[1], message[3]
    if version not in (1, 2) or rank > 32 or (version == 2 and kind == 2):  # noqa: PLR2004 - kind 2 has no value
        source.refuse(f"{what} has no plain shape", f"version {version}, {rank} axes, kind {kind}", "a tensor")
    return struct.unpack_from(f"<{rank}Q", message, 8 if version == 1 else 4)


def _type(source: Source, message: bytes, what: str) -> tuple[str, int, bool]:
    """NumPy's name, bytes of an element, whether its bytes are swapped."""
    kind, version, size = message[0] & 0xF, message[0] >> 4, struct.unpack_from("<I", message, 4)[0]
    if not 1 <= version <= 3:  # noqa: PLR2004 - as the format defines
        raise ValueError(f"a type has the unknown version {version}")
    if not 0 < size <= MAXIMAL_ITEM_BYTES:
        source.refuse(f"{what} has large elements", f"{size} bytes", f"1 to {MAXIMAL_ITEM_BYTES}")
    if kind == _ENUM and message[8] & 0xF in (_INTEGER, _BITS):
        return _enum_name(message), size, bool(message[9] & 1)
    name = _name(kind, message, size)
    if name is None:
        source.refuse(
            f"{what} has another type", _CLASSES.get(kind, f"class {kind}"), "numbers, or bytes of one length"
        )
    return name, size, kind in (_INTEGER, _BITS, _FLOAT) and bool(message[1] & 1)


def _name(kind: int, message: bytes, size: int) -> str | None:
    if kind in (_INTEGER, _BITS):
        return f"{'' if message[1] & _SIGNED else 'u'}int{8 * size}"
    if kind == _FLOAT:
        return _float_name(message, size)
    if kind in (_STRING, _OPAQUE):
        return f"{'bytes' if kind == _STRING else 'void'}{8 * size}"
    if kind == _RECORD and message[8:10] == b"r\0" and message[_SECOND_MEMBER:][:2] == b"i\0":
        part = _float_name(message[_FIRST_TYPE:], size // 2)
        return f"complex{8 * size}" if message[_FIRST_TYPE:][:2] == _LITTLE_FLOAT and part in _FLOATS.values() else None
    return None


def _enum_name(message: bytes) -> str:
    size = struct.unpack_from("<I", message, 12)[0]
    name = str(_name(message[8] & 0xF, message[8:], size))
    return "bool" if name == "int8" and b"FALSE\0" in message and b"TRUE\0" in message else name


def _float_name(message: bytes, size: int) -> str:
    exponent_bits, mantissa_bits = message[13], message[15]
    unusual = f"float{8 * size}_e{exponent_bits}m{mantissa_bits}"
    return _FLOATS.get((size, exponent_bits, mantissa_bits), unusual)


def _layout(source: Source, header: dict[int, bytes], entry: TensorEntry, what: str, is_packed: bool) -> Layout:
    message = header[LAYOUT]
    version, kind = message[0], message[1]
    if version != 3 or kind not in (_COMPACT, _CONTIGUOUS, _CHUNKED):  # noqa: PLR2004 - see hdf5_format
        received = f"layout version {version}, class {kind}"
        source.refuse(f"{what} is not stored in the plain way", received, "version 3, no virtual datasets")
    filters = () if is_packed else _filters(source, header.get(FILTERS), what)
    if kind == _CHUNKED:
        return _chunked(message, entry, filters)
    if filters:
        raise ValueError("a dataset without chunks has filters")
    if kind == _COMPACT:
        size = struct.unpack_from("<H", message, 2)[0]
        _require_size(len(message[4 : 4 + size]), entry)
        return Layout(0, inline=message[4 : 4 + size])
    address, size = struct.unpack_from("<QQ", message, 2)
    if address == UNDEFINED and entry.size_bytes:
        source.refuse(f"{what} was never written", f"{entry.size_bytes} bytes declared, 0 stored", "stored bytes")
    _require_size(size, entry)
    if size:
        source.require(address, size)
    return Layout(address)


def _require_size(stored: int, entry: TensorEntry) -> None:
    if stored != entry.size_bytes:
        raise ValueError(f"{stored} bytes are stored for the shape {entry.shape} of {entry.dtype}")


def _chunked(message: bytes, entry: TensorEntry, filters: tuple[int, ...]) -> Layout:
    rank, address = message[2] - 1, struct.unpack_from("<Q", message, 3)[0]
    *chunk, item_bytes = struct.unpack_from(f"<{rank + 1}I", message, 11)
    if rank != len(entry.shape) or item_bytes != entry.item_bytes or not math.prod(chunk):
        raise ValueError(f"chunks {chunk} of {item_bytes} bytes do not fit the shape {entry.shape} of {entry.dtype}")
    return Layout(address, chunk=tuple(chunk), filters=filters)


def _filters(source: Source, message: bytes | None, what: str) -> tuple[int, ...]:
    if message is None:
        return ()
    if message[0] != 1:
        raise ValueError(f"a list of filters has the unknown version {message[0]}")
    found: list[int] = []
    position = 8
    for _ in range(message[1]):
        identifier, name_bytes, _, values = struct.unpack_from("<4H", message, position)
        position += 8 + name_bytes + 4 * (values + values % 2)
        found.append(identifier)
    if not set(found) <= {GZIP, SHUFFLE} or len(set(found)) < len(found):
        source.refuse(f"{what} is packed in another way", f"HDF5 filters {found}", "gzip (1), shuffle (2) or none")
    return tuple(found)


def unknown(source: Source, what: str) -> NoReturn:
    """Refuse an object that is neither a dataset nor a plain group."""
    source.refuse(f"{what} is no tensor and no plain group", "another object", "datasets, and groups as symbol tables")
