"""The last look at a public copy: whether anything that was to go stands in any of its bytes."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from archiver.errors import ArchiverError
from archiver.export.identity import Identity
from archiver.export.replacing import LONG_NAME, SHORT_FOLDER
from archiver.storage.guards import reading
from archiver.storage.zips import SafeZip

SHORTEST_PATH = 8
_BLOCK_BYTES = 8 << 20
_OVERLAP_BYTES = 4096


@dataclass(frozen=True)
class Leak:
    """Something that was to go, and stands there."""

    file: str
    member: str
    """Of a zip file; empty for the bytes of the file itself."""
    kind: str

    def describe(self) -> str:
        """One line."""
        return f"{self.file}{f' (in its {self.member})' if self.member else ''}: a {self.kind}"


class Needles:
    """What must stand nowhere, as patterns of bytes."""

    def __init__(self, identity: Identity, originals: Iterable[str]) -> None:
        folders = [each for each in (*identity.homes, *identity.folders) if each.count("/") >= SHORT_FOLDER]
        paths = [each for each in originals if len(each) >= SHORTEST_PATH and each.count("/") >= SHORT_FOLDER]
        self._patterns = [
            (kind, pattern)
            for kind, texts in (
                ("path", sorted({*folders, *paths}, key=len)),
                ("number of a machine", identity.numbers),
                ("text that was to be hidden", identity.hidden),
                ("host name", identity.hosts),
                ("user name", identity.users),
            )
            for pattern in _patterns(kind, texts)
        ]

    def kinds_in(self, data: bytes | mmap.mmap) -> Iterator[str]:
        """What stands in some bytes."""
        yield from (kind for kind, pattern in self._patterns if pattern.search(data))


_AT_ONCE = 200


def _patterns(kind: str, texts: Iterable[str]) -> Iterator[re.Pattern[bytes]]:
    """Paths end where a name does; names as they are replaced."""
    encoded = [text for text in texts if text]
    for start in range(0, len(encoded), _AT_ONCE):
        some = encoded[start : start + _AT_ONCE]
        if kind == "path":
            joined = b"|".join(re.escape(text.encode()) for text in some)
            yield re.compile(b"(?:" + joined + rb")(?![A-Za-z0-9_-])")
        else:
            yield re.compile(b"|".join(_name(text) for text in some), re.IGNORECASE)


def _name(text: str) -> bytes:
    name = re.escape(text.encode())
    if len(text) >= LONG_NAME:
        return name
    # Among the numbers of a large model, four letters turn up by chance, and hardly with text around them.
    return rb"(?<![A-Za-z0-9])" + name + rb"(?![A-Za-z0-9])(?:(?<=[ -~\n]{6}" + name + rb")|(?=[ -~\n]{6})|\Z)"


def find_leaks(folder: Path, path: str, needles: Needles) -> list[Leak]:
    """What stands in one file, and in the members of a zip file."""
    file = folder / path
    if not file.stat().st_size:
        return []
    with file.open("rb") as opened:
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = {Leak(path, "", kind) for kind in needles.kinds_in(data)}
            is_zip = data[:4] == b"PK\3\4"
        if is_zip:
            with suppress(ArchiverError):  # no zip file after all: its bytes were looked at
                found |= set(_in_members(SafeZip(opened, path), path, needles))
    found |= {Leak(path, "", f"{kind}, in its name") for kind in needles.kinds_in(path.encode())}
    return sorted(found, key=Leak.describe)


def _in_members(archive: SafeZip, path: str, needles: Needles) -> Iterator[Leak]:
    for name in archive.members:
        tail = b""
        with archive.open(name) as member, reading(path, name):
            while block := member.read(_BLOCK_BYTES):
                yield from (Leak(path, name, kind) for kind in needles.kinds_in(tail + block))
                tail = (tail + block)[-_OVERLAP_BYTES:]
