"""Zip files: those of strangers (`.keras`, `.npz`, archives), where every member is looked at before any is read; and
members that are the same bytes whenever they are written."""

from __future__ import annotations

import struct
import zipfile
from typing import BinaryIO, cast

from archiver.errors import DamagedFileError, UnsafePathError
from archiver.storage.beneath import relative_parts
from archiver.storage.guards import Window, check_growth, fill, length_of, reading, refuse

MAXIMAL_MEMBERS = 100_000
MAXIMAL_DIRECTORY_BYTES = 8 << 20
"""Of the list of members at the end of the file: Python makes objects of about ten times its size."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_SYMLINK = 0o12
_READABLE = 0o644
_UNIX = 3
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def plain_member(name: str, size_bytes: int) -> zipfile.ZipInfo:
    """A member to be written without compression, always with the same time, mode and system."""
    info = zipfile.ZipInfo(name, _FIXED_TIME)
    info.create_system, info.external_attr = _UNIX, _READABLE << 16
    info.file_size = size_bytes  # tells zipfile whether the member needs zip64
    return info


class SafeZip:
    """A zip file whose members are stored or deflated, have safe and different names, and unpack to bounded sizes.

    Raises:
        UnsafeFileError: something is refused, whichever member is wanted.
        DamagedFileError: this is no whole zip file.
    """

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file, self._where = file, where
        self._length = length_of(file)
        with reading(where, "the list of members"):
            # The reader has what zipfile asks of a file, and says how much it may ask for.
            self._zip = zipfile.ZipFile(cast("BinaryIO", _Sparing(file, self._length, where)))
        self.members: dict[str, zipfile.ZipInfo] = {}
        self._check_members()

    def _check_members(self) -> None:
        infos = self._zip.infolist()
        if len(infos) > MAXIMAL_MEMBERS:
            refuse(self._where, "too many members", len(infos), f"at most {MAXIMAL_MEMBERS}")
        for info in infos:
            self._check_member(info)
            self.members[info.filename] = info
        stored, declared = sum(info.compress_size for info in infos), sum(info.file_size for info in infos)
        if stored > self._length:
            received = f"{stored} bytes of members in {self._length} bytes"
            refuse(self._where, "members overlap", received, "each byte to belong to one member")
        check_growth(self._where, "the members together unpack to far more than is stored", declared, stored)

    def _check_member(self, info: zipfile.ZipInfo) -> None:
        what = f"member {info.orig_filename[:200]!r}"
        try:
            relative_parts(info.orig_filename.removesuffix("/"))
        except UnsafePathError as error:
            raise UnsafePathError(f"{self._where}: {what} has an unsafe name. {error}") from None
        if info.filename in self.members:
            refuse(self._where, f"{what} is there twice", "a duplicate", "different names")
        if info.external_attr >> 28 == _SYMLINK:
            refuse(self._where, f"{what} is a link", "a symbolic link", "plain members")
        if info.flag_bits & _ENCRYPTED:
            refuse(self._where, f"{what} is encrypted", f"flags {info.flag_bits:#x}", "members without a password")
        if info.compress_type not in _METHODS:
            refuse(self._where, f"{what} is compressed in another way", f"method {info.compress_type}", "0 or 8")
        check_growth(self._where, f"{what} unpacks to far more than is stored", info.file_size, info.compress_size)

    def member(self, name: str) -> zipfile.ZipInfo:
        """The member `name`.

        Raises:
            DamagedFileError: there is none.
        """
        if name not in self.members:
            raise DamagedFileError(f"{self._where}: there is no member {name!r} among {len(self.members)}")
        return self.members[name]

    def open(self, name: str) -> BinaryIO:
        """The bytes of a member, unpacked while they are read; reading to the end checks its CRC.

        Raises:
            DamagedFileError: the member cannot be opened. What is read later may raise anything that
                `archiver.storage.guards.reading` explains.
        """
        info = self.member(name)
        with reading(self._where, f"member {name!r}"):
            return cast("BinaryIO", self._zip.open(info))

    def read(self, name: str, limit: int) -> bytes:
        """A whole member of at most `limit` bytes.

        Raises:
            UnsafeFileError: it declares more.
            DamagedFileError: it cannot be unpacked to what it declares.
        """
        size = self.member(name).file_size
        if size > limit:
            refuse(self._where, f"member {name!r} is too large", f"{size} bytes", f"at most {limit}")
        data = bytearray(size)
        with self.open(name) as member, reading(self._where, f"member {name!r}"):
            fill(member, memoryview(data))
        return bytes(data)

    def window(self, name: str) -> BinaryIO | None:
        """A stored member as a file that can seek, in place and without checking its CRC; None if it is deflated.

        Raises:
            DamagedFileError: its header does not fit the list of members.
        """
        info = self.member(name)
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        self.open(name).close()  # zipfile compares the member's own header with the list
        with reading(self._where, f"member {name!r}"):
            self._file.seek(info.header_offset)
            _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        start = info.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
        if info.compress_size != info.file_size or start + info.file_size > self._length:
            raise DamagedFileError(
                f"{self._where}: member {name!r} does not lie in the file. Received {info.file_size} bytes "
                f"({info.compress_size} stored) from byte {start} of {self._length}."
            )
        return cast("BinaryIO", Window(self._file, start, info.file_size))

    def close(self) -> None:
        """Forget the members; the file stays open."""
        self._zip.close()


class _Sparing(Window):
    """The file as zipfile sees it: one reading never brings more than the largest list of members we accept."""

    def __init__(self, file: BinaryIO, size: int, where: str) -> None:
        super().__init__(file, 0, size)
        self._where = where

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = max(0, self._size - self._position)
        wanted = wanted if size is None or size < 0 else min(size, wanted)
        if wanted > MAXIMAL_DIRECTORY_BYTES:
            refuse(self._where, "the list of members is too large", wanted, f"at most {MAXIMAL_DIRECTORY_BYTES} bytes")
        data = bytearray(wanted)
        return bytes(data[: self.readinto(data)])
