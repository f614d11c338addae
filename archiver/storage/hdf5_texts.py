"""One text of an HDF5 file: an attribute of its root group, such as the configuration of a legacy `.h5` model.

Read without the HDF5 library, as `archiver.storage.hdf5_format` explains: nothing but this attribute is looked at.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from archiver.storage.guards import opened, reading
from archiver.storage.hdf5_attributes import long_text
from archiver.storage.hdf5_format import Source, read_header, root_address

_STRING, _VARIABLE = 3, 9
_REFERENCE = struct.Struct("<IQI")


def read_root_text(source: Path | str | BinaryIO, name: str, *, where: str | None = None) -> bytes | None:
    """The text `name` at the root of an HDF5 file, as bytes; None where there is no such attribute.

    Args:
        source: a path, or an open binary file that can seek; it is left open.
        name: of the attribute.
        where: what messages call the file; else its path.

    Raises:
        UnsafeFileError: it is not in the plain format, or larger than `MAXIMAL_VALUE_BYTES` of `hdf5_attributes`.
        DamagedFileError: this is no HDF5 file, or what is there is no text.
        StorageError: the path cannot be opened.
    """
    with opened(source, where) as (file, called), reading(called, f"attribute {name!r}"):
        bytes_source = Source(file, called)
        header = read_header(bytes_source, root_address(bytes_source), "object '/'")
        found = (_attribute(body) for body in header.attributes)
        return next((_text(bytes_source, *rest) for each, *rest in found if each == name.encode()), None)


def _attribute(body: bytes) -> tuple[bytes, bytes, bytes]:
    """Name, type and value of an attribute message."""
    version, name_bytes, type_bytes, space_bytes = struct.unpack_from("<BxHHH", body)
    position = 9 if version == 3 else 8  # noqa: PLR2004 - version 3 names the characters' encoding
    parts = []
    for size in (name_bytes, type_bytes, space_bytes):
        parts.append(body[position : position + size])
        position += -(-size // 8) * 8 if version == 1 else size
    return parts[0].rstrip(b"\0"), parts[1], body[position:]


def _text(source: Source, kind: bytes, value: bytes) -> bytes:
    if kind[0] & 0xF == _STRING:
        return value[: struct.unpack_from("<I", kind, 4)[0]].rstrip(b"\0")
    if kind[0] & 0xF != _VARIABLE:
        raise ValueError("it is no text")
    return long_text(source, *_REFERENCE.unpack_from(value))
