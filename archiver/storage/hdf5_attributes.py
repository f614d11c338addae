"""Attributes of an object in a plain HDF5 file, of the few types that Keras writes, read without the HDF5 library.

A text of any length lies in a *global heap*; a list of texts of one length, and an empty list, lie in the message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from archiver.errors import DamagedFileError
from archiver.storage.guards import reading
from archiver.storage.hdf5_format import CONTINUATION, Source, message_block

ROOT_ADDRESS = 96
"""Where the root group's object header is in a file that h5py makes, right behind the superblock."""
MAXIMAL_ATTRIBUTES = 1000
MAXIMAL_VALUE_BYTES = 64 << 20

_ATTRIBUTE = 0xC
_PREFIX = struct.Struct("<BxHHH")
_HEADER = struct.Struct("<BxH4xI4x")
_LONG_TEXT = struct.Struct("<IQI")
_COLLECTION = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HHxxxxQ")
_FLOAT, _STRING, _VARIABLE = 1, 3, 9
_IS_STRING = 1

Kind = Literal["text", "ascii", "texts", "fixed", "empty"]


@dataclass(frozen=True)
class Attribute:
    """One attribute."""

    name: str
    kind: Kind
    """`text` and `ascii` are one text of any length, in UTF-8 or declared as ASCII; `texts` is a list of such in ASCII,
    `fixed` a list of byte strings of one length, `empty` one of no numbers."""
    value: bytes | tuple[bytes, ...]
    item_bytes: int = 0
    """Of `fixed`."""


def read_attributes(source: Source, address: int, what: str) -> list[Attribute]:
    """The attributes of the object whose header is at `address`, in the order of the file.

    Raises:
        DamagedFileError: one cannot be read, or has another type.
        UnsafeFileError: they ask for too much.
    """
    with reading(source.where, f"the attributes of {what}"):
        version, _, size = _HEADER.unpack(source.take(address, _HEADER.size))
        if version != 1:
            raise ValueError(f"header version {version}")
        found: list[Attribute] = []
        pending = [(address + _HEADER.size, size)]
        while pending:
            for kind, _, body in message_block(source.take(*pending.pop(0))):
                if kind == CONTINUATION:
                    pending.append(struct.unpack("<QQ", body[:16]))
                elif kind == _ATTRIBUTE:
                    found.append(_attribute(source, body))
                if len(found) > MAXIMAL_ATTRIBUTES:
                    raise ValueError(f"more than {MAXIMAL_ATTRIBUTES} attributes")
        return found


def _attribute(source: Source, body: bytes) -> Attribute:
    version, name_bytes, type_bytes, space_bytes = _PREFIX.unpack_from(body)
    if version != 1:
        raise ValueError(f"an attribute has the version {version}")
    start = _PREFIX.size
    name = body[start : start + name_bytes].rstrip(b"\0").decode()
    start += _padded(name_bytes)
    datatype, start = body[start : start + type_bytes], start + _padded(type_bytes)
    space, data = body[start : start + space_bytes], body[start + _padded(space_bytes) :]
    rank = space[1]
    shape = struct.unpack_from(f"<{rank}Q", space, 8)
    kind, item_bytes = datatype[0] & 0xF, struct.unpack_from("<I", datatype, 4)[0]
    if kind == _VARIABLE and datatype[1] & 0xF == _IS_STRING and rank <= 1:
        texts = tuple(_long_texts(source, data, shape[0] if rank else 1))
        is_utf8 = bool(datatype[2] & 0xF)
        if rank and not is_utf8:
            return Attribute(name, "texts", texts)
        if not rank:
            return Attribute(name, "text" if is_utf8 else "ascii", texts[0])
    if kind == _STRING and rank == 1 and 0 < item_bytes * shape[0] <= len(data):
        pieces = (data[place * item_bytes : (place + 1) * item_bytes] for place in range(shape[0]))
        return Attribute(name, "fixed", tuple(piece.rstrip(b"\0") for piece in pieces), item_bytes)
    if kind == _FLOAT and shape == (0,):
        return Attribute(name, "empty", ())
    raise DamagedFileError(f"{source.where}: the attribute {name[:200]!r} is of another type than Keras writes")


def _padded(length: int) -> int:
    return -(-length // 8) * 8


def _long_texts(source: Source, data: bytes, count: int) -> Iterator[bytes]:
    if count * _LONG_TEXT.size > len(data):
        raise ValueError(f"{len(data)} bytes are stored for {count} texts")
    for place in range(count):
        yield long_text(source, *_LONG_TEXT.unpack_from(data, place * _LONG_TEXT.size))


def long_text(source: Source, length: int, address: int, index: int) -> bytes:
    """A text in the global heap, where an object is found by its number.

    Raises:
        UnsafeFileError: it is larger than `MAXIMAL_VALUE_BYTES`.
        ValueError: there is none.
    """
    if not length and not address:
        return b""
    if length > MAXIMAL_VALUE_BYTES:
        source.refuse("an attribute is too large", f"{length} bytes", f"at most {MAXIMAL_VALUE_BYTES}")
    signature, version, size = _COLLECTION.unpack(source.take(address, _COLLECTION.size))
    if signature != b"GCOL" or version != 1:
        raise ValueError("a heap of texts does not begin like one")
    position, end = address + _COLLECTION.size, address + size
    while position + _OBJECT.size <= end:
        number, _, stored = _OBJECT.unpack(source.take(position, _OBJECT.size))
        if number == index:
            return source.take(position + _OBJECT.size, length)
        if not number:
            break
        position += _OBJECT.size + _padded(stored)
    raise ValueError(f"there is no text {index} in the heap")
