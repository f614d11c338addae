"""Unpacking the zip file of a stranger: into an empty folder, no links, no more than its list of members declares."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from archiver.errors import DamagedFileError, StorageError
from archiver.storage.beneath import MAXIMAL_DEPTH
from archiver.storage.files import explained, require_room
from archiver.storage.guards import BLOCK_BYTES, reading, refuse
from archiver.storage.zips import MAXIMAL_MEMBERS, SafeZip

_ENTRY_BYTES = 4096
"""What a file system takes for a file or folder beside its contents, roughly."""


def unpack(file: BinaryIO, where: str, target: Path) -> None:
    """Write all members of a zip file below `target`, an empty folder of our own.

    Args:
        file: open for reading.
        where: what messages call it.
        target: the folder.

    Raises:
        UnsafeFileError: something in it is refused; see `SafeZip`. Nothing was written then.
        DamagedFileError: it is no whole zip file.
        StorageError: there is not enough room, or the file system refused.
    """
    archive = SafeZip(file, where)
    with contextlib.closing(archive):
        names = [name for name in archive.members if not name.endswith("/")]
        folders = _folders(archive, where)
        declared = sum(archive.members[name].file_size for name in names)
        _require_room(target, declared + _ENTRY_BYTES * (len(names) + len(folders)), where)
        for folder in sorted(folders):
            with explained("make the folder of", target / folder), _no_file_and_folder(where, folder):
                os.mkdir(target / folder)
        for name in names:
            _unpack_one(archive, name, where, target)


def _folders(archive: SafeZip, where: str) -> set[str]:
    """All folders that the members need."""
    folders: set[str] = set()
    for name in archive.members:
        parts = name.split("/")[:-1]
        if len(parts) > MAXIMAL_DEPTH:
            refuse(where, f"member {name[:200]!r} lies too deep", f"{len(parts)} folders", f"at most {MAXIMAL_DEPTH}")
        folders.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        if len(folders) > MAXIMAL_MEMBERS:
            refuse(where, "too many folders", f"more than {MAXIMAL_MEMBERS}", f"at most {MAXIMAL_MEMBERS}")
    return folders


def _require_room(target: Path, needed_bytes: int, where: str) -> None:
    try:
        require_room(target / "member", needed_bytes)
    except StorageError as error:
        raise StorageError(
            errno.ENOSPC,
            f"cannot unpack {where}: it takes {needed_bytes} bytes, which are not free in {target.parent}; "
            "free them, or set TMPDIR to another folder",
        ) from error


@contextlib.contextmanager
def _no_file_and_folder(where: str, name: str) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        refuse(where, f"member {name[:200]!r} is a file and a folder", "both", "one of them")


def _unpack_one(archive: SafeZip, name: str, where: str, target: Path) -> None:
    with archive.open(name) as member, explained("unpack", target / name), _no_file_and_folder(where, name):
        descriptor = os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            size = sum(map(file.write, _blocks(member, name, where)))
    declared = archive.members[name].file_size
    if size != declared:
        raise DamagedFileError(
            f"{where}: member {name!r} unpacks to {size} bytes. Expected {declared}, as it declares."
        )


def _blocks(member: BinaryIO, name: str, where: str) -> Iterator[bytes]:
    while True:
        with reading(where, f"member {name!r}"):
            block = member.read(BLOCK_BYTES)
        if not block:
            return
        yield block
