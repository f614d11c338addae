"""The structure of a plain HDF5 file, read without the HDF5 library.

One changed byte in a file of HDF5's newer format was enough to make the library (1.14.6) crash, so a stranger's file
is not given to it. h5py, and so Keras, writes the oldest format unless told otherwise; only that is read here:
superblock 0, object headers 1, groups as symbol tables, or as up to eight link messages (as which a group is written
once a name in it is not ASCII; a larger group of that kind is refused). The layout is that of the HDF5 File Format
Specification. All numbers are little-endian.

Every function raises `UnsafeFileError` for what is refused, and `DamagedFileError` or, to be explained by
`archiver.storage.guards.reading`, `ValueError`, `EOFError` or `struct.error` for what is broken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from archiver.storage.guards import fill, length_of, refuse

UNDEFINED = (1 << 64) - 1
"""The address of what is nowhere."""
MAXIMAL_NAME_BYTES = 1024
MAXIMAL_TREE_LEVEL = 32
MAXIMAL_PIECE_BYTES = 64 << 20
"""Of an object header, or of the names in a group."""

DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES, LAYOUT, FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE = (
    0x1, 0x2, 0x3, 0x6, 0x7, 0x8, 0xB, 0xC, 0x10, 0x11,
)  # fmt: skip
"""The messages of an object header that matter here."""

_MATTERS = frozenset((DATASPACE, LINK_INFO, DATATYPE, EXTERNAL_FILES, LAYOUT, FILTERS, SYMBOL_TABLE))
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SUPERBLOCK = struct.Struct("<8sB4xBB9xQ8xQ16xQ")
_HEADER = struct.Struct("<BxH4xI4x")
_MESSAGE = struct.Struct("<HHB3x")
_NODE = struct.Struct("<4sBBH16x")
_HEAP = struct.Struct("<4s4xQ8xQ")
_SYMBOLS = struct.Struct("<4sBxH")
_SYMBOL = struct.Struct("<QQI20x")
_SHARED = 0x2
_SOFT_SYMBOL = 2
_HAS_ORDER = 0x1
_LINK_HAS_ORDER, _LINK_HAS_TYPE, _LINK_HAS_CHARACTERS = 0x4, 0x8, 0x10
_LINK_TYPES = {1: "a soft link", 64: "a link to another file"}


class Source:
    """The bytes of the file. Reading structure is paid from a budget, so that no structure is read over and over."""

    def __init__(self, file: Any, where: str) -> None:
        self._file, self.where = file, where
        self.length = length_of(file)
        self._budget = 4 * self.length

    def refuse(self, what: str, received: object, expected: str) -> NoReturn:
        """Raise the `UnsafeFileError` that names this file."""
        refuse(self.where, what, received, expected)

    def charge(self, count: int) -> None:
        """Pay for `count` bytes of structure."""
        self._budget -= count
        if self._budget < 0:
            self.refuse("parts of its structure overlap", f"more than {4 * self.length} bytes", "each to be read once")

    def take(self, address: int, count: int) -> bytes:
        """`count` bytes of structure."""
        self.require(address, count)
        self.charge(count)
        if count > MAXIMAL_PIECE_BYTES:
            self.refuse("a part of its structure is too large", f"{count} bytes", f"at most {MAXIMAL_PIECE_BYTES}")
        data = bytearray(count)
        self.read_into(address, memoryview(data))
        return bytes(data)

    def require(self, address: int, count: int) -> None:
        """Raise unless these bytes are inside the file."""
        if address + count > self.length:
            raise EOFError(f"{count} bytes at {address} are beyond the end at {self.length}")

    def read_into(self, address: int, view: memoryview) -> None:
        """Fill `view` with bytes of the file, not paid for."""
        self._file.seek(address)
        fill(self._file, view)


def root_address(source: Source) -> int:
    """Where the root group's object header is; checks the superblock."""
    if source.take(0, len(_SIGNATURE)) != _SIGNATURE:
        raise ValueError("it does not begin like an HDF5 file")
    _, version, offset_bytes, length_bytes, base, end, root = _SUPERBLOCK.unpack(source.take(0, _SUPERBLOCK.size))
    if version != 0:
        source.refuse("it is not the plain format that h5py writes", f"HDF5 superblock version {version}", "version 0")
    if (offset_bytes, length_bytes, base) != (8, 8, 0):
        source.refuse("it has unusual addresses", f"{offset_bytes}, {length_bytes} bytes from {base}", "8, 8 from 0")
    if end > source.length:
        raise EOFError(f"it is cut short: {source.length} of {end} bytes")
    return int(root)


@dataclass(frozen=True)
class Header:
    """The messages of an object header that matter."""

    messages: dict[int, bytes]
    """By type."""
    links: list[bytes]
    """The link messages."""
    attributes: list[bytes]
    """The attribute messages, which no tensor needs."""

    @property
    def is_group(self) -> bool:
        """Whether it says what is in a group."""
        return SYMBOL_TABLE in self.messages or LINK_INFO in self.messages


def read_header(source: Source, address: int, what: str) -> Header:
    """The object header at `address`."""
    version, _, size = _HEADER.unpack(source.take(address, _HEADER.size))
    if version != 1:
        source.refuse(f"{what} is not in the plain format", f"header version {version}", "version 1")
    found, found_links, attributes = dict[int, bytes](), list[bytes](), list[bytes]()
    pending = [(address + _HEADER.size, size)]
    while pending:
        for kind, flags, body in message_block(source.take(*pending.pop(0))):
            if kind == CONTINUATION:
                pending.append(struct.unpack("<QQ", body[:16]))
            elif kind == LINK:
                found_links.append(body)
            elif kind == ATTRIBUTE:
                attributes.append(body)
            elif kind in _MATTERS:
                if kind in found or flags & _SHARED:
                    source.refuse(f"{what} has an unusual header", f"message {kind} twice or shared", "one of its own")
                found[kind] = body
    return Header(found, found_links, attributes)


def message_block(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and contents of the messages of one block."""
    position = 0
    while position + _MESSAGE.size <= len(data):
        kind, length, flags = _MESSAGE.unpack_from(data, position)
        position += _MESSAGE.size + length
        if position > len(data):
            raise ValueError("a message is longer than its block")
        yield kind, flags, data[position - length : position]


def links(source: Source, header: Header, what: str) -> Iterator[tuple[bytes, int]]:
    """Name and object header of everything in a group."""
    seen: set[bytes] = set()
    table = header.messages.get(SYMBOL_TABLE)
    found = _link_messages(source, header, what) if table is None else _symbol_table(source, table, what)
    for name, address in found:
        if name in (b"", b".", b"..") or b"/" in name or len(name) > MAXIMAL_NAME_BYTES:
            raise ValueError(f"a name is empty, a path or longer than {MAXIMAL_NAME_BYTES} bytes")
        if name in seen:
            raise ValueError(f"the name {name[:200]!r} is there twice")
        seen.add(name)
        yield name, address


def _symbol_table(source: Source, table: bytes, what: str) -> Iterator[tuple[bytes, int]]:
    tree, heap = struct.unpack("<QQ", table[:16])
    names = _heap(source, heap)
    for leaf in leaves(source, tree, kind=0, key_bytes=8):
        for start, address, kind in _symbols(source, leaf.child):
            end = names.find(b"\0", start, start + MAXIMAL_NAME_BYTES + 1)
            name = names[start:end] if end >= 0 else b""
            if kind == _SOFT_SYMBOL or address == UNDEFINED:
                source.refuse(f"{what} has a link {name[:200]!r}", "a soft link", "hard links only")
            yield name, address


def _link_messages(source: Source, header: Header, what: str) -> Iterator[tuple[bytes, int]]:
    information = header.messages[LINK_INFO]
    heap = struct.unpack_from("<Q", information, 10 if information[1] & _HAS_ORDER else 2)[0]
    if heap != UNDEFINED:
        source.refuse(f"{what} has many members with names beyond ASCII", "a heap of links", "at most eight links")
    for body in header.links:
        yield _link(source, body, what)


def _link(source: Source, body: bytes, what: str) -> tuple[bytes, int]:
    flags, kind, position = body[1], 0, 2
    if flags & _LINK_HAS_TYPE:
        kind, position = body[position], position + 1
    position += 8 * bool(flags & _LINK_HAS_ORDER) + bool(flags & _LINK_HAS_CHARACTERS)
    width = 1 << (flags & 3)
    end = position + width + int.from_bytes(body[position : position + width], "little")
    name = body[position + width : end]
    if kind != 0:
        received = _LINK_TYPES.get(kind, f"link type {kind}")
        source.refuse(f"{what} has a link {name[:200]!r}", received, "hard links only")
    return name, struct.unpack_from("<Q", body, end)[0]


def _heap(source: Source, address: int) -> bytes:
    signature, size, segment = _HEAP.unpack(source.take(address, _HEAP.size))
    if signature != b"HEAP":
        raise ValueError("a heap of names does not begin like one")
    return source.take(segment, size)


def _symbols(source: Source, address: int) -> Iterator[tuple[int, int, int]]:
    signature, version, count = _SYMBOLS.unpack(source.take(address, _SYMBOLS.size))
    if signature != b"SNOD" or version != 1:
        raise ValueError("a list of symbols does not begin like one")
    return _SYMBOL.iter_unpack(source.take(address + _SYMBOLS.size, count * _SYMBOL.size))


@dataclass(frozen=True)
class Leaf:
    """What a B-tree leads to."""

    key: bytes
    child: int


def leaves(source: Source, address: int, *, kind: int, key_bytes: int, level: int | None = None) -> Iterator[Leaf]:
    """The children of the lowest nodes of a B-tree (version 1), in order; each level is one below its parent."""
    signature, received_kind, received_level, count = _NODE.unpack(source.take(address, _NODE.size))
    if signature != b"TREE" or received_kind != kind or level not in (None, received_level):
        raise ValueError("a node of a tree does not begin like one")
    if received_level > MAXIMAL_TREE_LEVEL:
        raise ValueError(f"a tree has more than {MAXIMAL_TREE_LEVEL} levels")
    step = key_bytes + 8
    data = source.take(address + _NODE.size, count * step)
    for start in range(0, len(data), step):
        child = int.from_bytes(data[start + key_bytes : start + step], "little")
        if received_level:
            yield from leaves(source, child, kind=kind, key_bytes=key_bytes, level=received_level - 1)
        else:
            yield Leaf(data[start : start + key_bytes], child)
