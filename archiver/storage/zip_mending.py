"""A damaged zip file read twice over, and written anew: each member is described in front of its bytes and in the list
at the end of the file, so that either description can take the place of the other.

Only what `zipfile`, and so Keras and archiver, writes is understood: no comments, no zip64, no data descriptors.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import BinaryIO

from archiver.errors import DamagedFileError
from archiver.storage.guards import BLOCK_BYTES, length_of
from archiver.storage.zips import MAXIMAL_DIRECTORY_BYTES, MAXIMAL_MEMBERS

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_MADE_BY = 3 << 8 | 20
_PLAIN_FILE = 0o600 << 16
STORED = 0


@dataclass(frozen=True)
class Member:
    """One member as one of its two descriptions has it."""

    name: bytes
    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    stored_bytes: int
    size_bytes: int
    extra: bytes
    start: int
    """Where its bytes begin."""
    made_by: int = _MADE_BY
    internal: int = 0
    external: int = _PLAIN_FILE
    central_extra: bytes = b""


def dos_time(member: Member) -> tuple[int, int, int, int, int, int]:
    """Year, month, day, hour, minute and second of a member, to two seconds, of the zone in which it was written."""
    date, time = member.date, member.time
    return (date >> 9) + 1980, date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, 2 * (time & 31)


def described_in_front(file: BinaryIO) -> list[Member]:
    """The members by the headers in front of them, from the first on until one cannot be read."""
    found: list[Member] = []
    length, position = length_of(file), 0
    while len(found) < MAXIMAL_MEMBERS and (member := _local(file, position, length)) is not None:
        found.append(member)
        position = member.start + member.stored_bytes
    return found


def _local(file: BinaryIO, position: int, length: int) -> Member | None:
    header = _bytes_at(file, position, _LOCAL.size)
    if len(header) < _LOCAL.size:
        return None
    mark, needed, flags, method, time, date, crc, stored, size, name_bytes, extra_bytes = _LOCAL.unpack(header)
    start = position + _LOCAL.size + name_bytes + extra_bytes
    if mark != _LOCAL_MARK or start > length:
        return None
    rest = _bytes_at(file, position + _LOCAL.size, name_bytes + extra_bytes)
    return Member(
        rest[:name_bytes], needed, flags, method, time, date, crc, stored, size, rest[name_bytes:], start
    )  # fmt: skip


def described_at_the_end(file: BinaryIO, begin: int | None = None) -> list[Member]:
    """The members by the list at the end.

    Args:
        file: the zip file.
        begin: where the list begins; None: where the last record of the file says. Entries that are damaged are
            passed over.
    """
    length = length_of(file)
    if begin is None:
        end = _bytes_at(file, max(0, length - _END.size), _END.size)
        if len(end) < _END.size or end[:4] != _END_MARK:
            return []
        begin = _END.unpack(end)[6]
    data = _bytes_at(file, begin, min(MAXIMAL_DIRECTORY_BYTES, max(0, length - begin)))
    found: list[Member] = []
    position = 0
    while (position := data.find(_CENTRAL_MARK, position)) >= 0 and len(data) - position >= _CENTRAL.size:
        member, position = _central(data, position)
        found.append(member)
    return found


def _central(data: bytes, position: int) -> tuple[Member, int]:
    fields = _CENTRAL.unpack_from(data, position)
    _, made_by, needed, flags, method, time, date, crc, stored, size = fields[:10]
    name_bytes, extra_bytes, comment_bytes, _, internal, external, offset = fields[10:]
    name_at = position + _CENTRAL.size
    name, extra = data[name_at : name_at + name_bytes], data[name_at + name_bytes :][:extra_bytes]
    start = offset + _LOCAL.size + name_bytes
    member = Member(
        name, needed, flags, method, time, date, crc, stored, size, b"", start, made_by, internal, external, extra
    )
    return member, name_at + name_bytes + extra_bytes + comment_bytes


def descriptions(file: BinaryIO) -> list[list[Member]]:
    """Every way to read the members, the likeliest first: the list at the end, found by its record or behind the last
    member, and the headers in front, with what only the list has taken from there or from its other members. A way by
    which members overlap is none."""
    front = described_in_front(file)
    behind = front[-1].start + front[-1].stored_bytes if front else 0
    found = [described_at_the_end(file), described_at_the_end(file, behind) if front else []]
    listed = max(found, key=len)
    readings = [each for each in found if each]
    if front:
        common = Counter((member.made_by, member.external) for member in listed).most_common(1)
        made_by, external = common[0][0] if common else (_MADE_BY, _PLAIN_FILE)
        front = [replace(member, made_by=made_by, external=external) for member in front]
        readings.append(front)
        if listed:
            pairs = zip(front, listed, strict=False)
            readings.append([
                replace(one, made_by=two.made_by, internal=two.internal, external=two.external) for one, two in pairs
            ])  # fmt: skip
        readings.append(_merged(front, listed))
    return list({tuple(reading): reading for reading in readings if reading and _are_apart(reading)}.values())


def _are_apart(members: Sequence[Member]) -> bool:
    return all(one.start + one.stored_bytes <= two.start for one, two in pairwise(members))


def _merged(front: Sequence[Member], listed: Sequence[Member]) -> list[Member]:
    """The members in front as far as they are told, then those of the list that begin behind them."""
    end = front[-1].start + front[-1].stored_bytes
    return [*front, *(member for member in listed if member.start >= end)]


Content = Callable[[BinaryIO], None]
"""Writes the stored bytes of a member."""


def copied(file: BinaryIO, member: Member) -> Content:
    """The stored bytes as they are in the damaged file.

    Raises (when it is called):
        DamagedFileError: the file ends before they do.
    """

    def write(target: BinaryIO) -> None:
        for start in range(0, member.stored_bytes, BLOCK_BYTES):
            wanted = min(BLOCK_BYTES, member.stored_bytes - start)
            data = _bytes_at(file, member.start + start, wanted)
            if len(data) < wanted:
                raise DamagedFileError(f"the member {member.name[:200]!r} is cut short")
            target.write(data)

    return write


def write_zip(target: BinaryIO, members: Sequence[Member], contents: Mapping[bytes, Content]) -> None:
    """Write the members with their descriptions, each CRC computed from the bytes where they are stored as they are.

    Raises:
        DamagedFileError: bytes of a member are not there.
    """
    directory: list[bytes] = []
    for member in members:
        offset = target.tell()
        _write_local(target, member)
        start = target.tell()
        counting = _Counting(target)
        contents[member.name](counting)  # type: ignore[arg-type]
        crc = counting.crc if member.method == STORED else member.crc
        size = counting.count if member.method == STORED else member.size_bytes
        written = replace(member, crc=crc, stored_bytes=counting.count, size_bytes=size, start=start)
        target.seek(offset)
        _write_local(target, written)
        target.seek(start + counting.count)
        directory.append(_central_bytes(written, offset))
    begin = target.tell()
    data = b"".join(directory)
    target.write(data)
    target.write(_END.pack(_END_MARK, 0, 0, len(members), len(members), len(data), begin, 0))


class _Counting:
    """What is written through it, its length and its CRC."""

    def __init__(self, target: BinaryIO) -> None:
        self._target, self.count, self.crc = target, 0, 0

    def write(self, data: bytes) -> int:
        self.count += len(data)
        self.crc = zlib.crc32(data, self.crc)
        return self._target.write(data)


def _write_local(target: BinaryIO, member: Member) -> None:
    header = _LOCAL.pack(
        _LOCAL_MARK, member.needed, member.flags, member.method, member.time, member.date, member.crc,
        member.stored_bytes, member.size_bytes, len(member.name), len(member.extra),
    )  # fmt: skip
    target.write(header + member.name + member.extra)


def _central_bytes(member: Member, offset: int) -> bytes:
    header = _CENTRAL.pack(
        _CENTRAL_MARK, member.made_by, member.needed, member.flags, member.method, member.time, member.date,
        member.crc, member.stored_bytes, member.size_bytes, len(member.name), len(member.central_extra), 0, 0,
        member.internal, member.external, offset,
    )  # fmt: skip
    return header + member.name + member.central_extra


def _bytes_at(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)


def crc_of(content: Content) -> int:
    """The CRC-32 of what a content writes."""
    counting = _Counting(_Nowhere())  # type: ignore[arg-type]
    content(counting)  # type: ignore[arg-type]
    return counting.crc


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)
