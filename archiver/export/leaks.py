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
        folders = [*identity.homes, *identity.folders]
        paths = [each for each in originals if len(each) >= SHORTEST_PATH and each.count("/") >= SHORT_FOLDER]
        paths += [each for each in folders if each.count("/") < SHORT_FOLDER]  # as `/root`: not within other paths
        anywhere = {
            "number of a machine": identity.numbers,
            "text that was to be hidden": identity.hidden,
            "host name": [name for name in identity.hosts if len(name) >= LONG_NAME],
            "user name": [name for name in identity.users if len(name) >= LONG_NAME],
        }
        words = {
            "host name": [name for name in identity.hosts if len(name) < LONG_NAME],
            "user name": [name for name in identity.users if len(name) < LONG_NAME],
        }
        self._anywhere = [
            *(("path", each) for each in _patterns(set(folders) - set(paths), b"", rb"(?![A-Za-z0-9_-])")),
            *(
                ("path", each)
                for each in _patterns(paths, rb"(?<![A-Za-z0-9_.~>;#/)\]}\x80-\xff-])", rb"(?![A-Za-z0-9_-])")
            ),
            *((kind, each) for kind, texts in anywhere.items() for each in _patterns(texts, b"", b"", re.IGNORECASE)),
        ]
        self._words = [
            (kind, each)
            for kind, texts in words.items()
            for each in _patterns(texts, rb"(?<![A-Za-z0-9])", rb"(?![A-Za-z0-9])", re.IGNORECASE)
        ]

        self._literals = [
            (kind, variant)
            for kind, texts in (("path", [*folders, *paths][:_MOST_PATHS]), *anywhere.items())
            for text in texts
            if len(text) >= LONG_NAME
            for variant in {text.encode(), text.lower().encode(), text.upper().encode()}
        ]

    def kinds_in(self, data: bytes | mmap.mmap) -> Iterator[str]:
        """What stands in some bytes."""
        if len(data) > LARGE_BYTES:
            yield from {kind for kind, text in self._literals if data.find(text) >= 0}
            return
        yield from (kind for kind, pattern in self._anywhere if pattern.search(data))
        is_text = data.find(b"\0") < 0
        for kind, pattern in self._words:
            if any(is_text or _is_in_text(data, *match.span()) for match in pattern.finditer(data)):
                yield kind


LARGE_BYTES = 64 << 20
"""More is numbers, where patterns take minutes: texts are looked for as they are, in small and in capital letters."""
_MOST_PATHS = 50
_AT_ONCE = 200
_AROUND = 14
"""Among the numbers of a large model, three letters turn up by chance, and hardly with so many letters around them."""


def _is_in_text(data: bytes | mmap.mmap, start: int, end: int) -> bool:
    before = re.search(rb"[ -~\n]*\Z", data[max(0, start - _AROUND) : start])
    after = re.match(rb"[ -~\n]*", data[end : end + _AROUND])
    return len(before[0] if before else b"") + len(after[0] if after else b"") >= _AROUND


def _patterns(texts: Iterable[str], before: bytes, after: bytes, flags: int = 0) -> Iterator[re.Pattern[bytes]]:
    encoded = sorted({re.escape(text.encode()) for text in texts if text}, key=lambda text: (-len(text), text))
    for start in range(0, len(encoded), _AT_ONCE):
        yield re.compile(before + b"(?:" + b"|".join(encoded[start : start + _AT_ONCE]) + b")" + after, flags)


def find_leaks(folder: Path, path: str, needles: Needles) -> list[Leak]:
    """What stands in one file, and in the members of a zip file."""
    file = folder / path
    if not file.stat().st_size:
        return []
    with file.open("rb") as opened:
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = {Leak(path, "", kind) for kind in needles.kinds_in(data)}
            if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
                wide = data[:].decode("utf-16", "replace").encode()
                found |= {Leak(path, "", kind) for kind in needles.kinds_in(wide)}
            is_zip = data[:4] == b"PK\3\4"
        if is_zip:
            with suppress(ArchiverError):  # no zip file after all: its bytes were looked at
                found |= set(_in_members(SafeZip(opened, path), path, needles))
    return sorted(found, key=Leak.describe)


def find_leaks_in_name(path: str, needles: Needles) -> list[Leak]:
    """What stands in the name of a file."""
    return [Leak(path, "", f"{kind}, in its name") for kind in needles.kinds_in(path.encode())]


def _in_members(archive: SafeZip, path: str, needles: Needles) -> Iterator[Leak]:
    for name in archive.members:
        tail = b""
        with archive.open(name) as member, reading(path, name):
            while block := member.read(_BLOCK_BYTES):
                yield from (Leak(path, name, kind) for kind in needles.kinds_in(tail + block))
                tail = (tail + block)[-_OVERLAP_BYTES:]
