"""Missing files that are there under another name: what file systems and archivers do to names, and moved files."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from archiver.archive.findings import Cause
from archiver.archive.inspection import Inspection
from archiver.errors import ArchiverError
from archiver.storage.digests import file_digests

MAXIMAL_UNKNOWN_BYTES = 4 << 20
"""An unlisted file is compared with missing ones of unknown size up to here."""


@dataclass(frozen=True)
class Elsewhere:
    """Where a missing file is."""

    path: str
    cause: Cause
    message: str


def find_elsewhere(inspection: Inspection, missing: Iterable[str], unlisted: Iterable[str]) -> dict[str, Elsewhere]:
    """By path of a missing file, the unlisted one that has its sealed bytes. Each unlisted one is given once."""
    algorithm, listed = next(reversed(inspection.listed.items()), ("", {}))
    wanted = sorted(set(missing) & set(listed))
    free = {path: inspection.sizes[path] for path in sorted(unlisted) if path in inspection.sizes}
    pools: dict[tuple[str, str, str], list[str]] = {}
    for path in _worth_reading(inspection, wanted, free):
        for key in _keys(path, _digest(inspection, path, algorithm)):
            pools.setdefault(key, []).append(path)
    found: dict[str, Elsewhere] = {}
    for likeness in range(len(_keys("", ""))):
        for path in wanted:
            pool = pools.get(_keys(path, listed[path])[likeness], [])
            while path not in found and pool:
                now = pool.pop()
                if free.pop(now, None) is not None:
                    found[path] = _told(path, now)
    return found


def _keys(path: str, digest: str | None) -> tuple[tuple[str, str, str], ...]:
    """What two files have in common that are one, the likeliest first."""
    content = digest or path
    return ("path", content, _fold(path)), ("name", content, posixpath.basename(path)), ("content", content, "")


def _worth_reading(inspection: Inspection, missing: list[str], unlisted: dict[str, int]) -> list[str]:
    """The unlisted files that have the name of a missing one, but for how it is written, or the size of one."""
    folded = {_fold(path) for path in missing}
    sizes = {inspection.recorded_bytes(path) for path in missing}
    is_open = None in sizes
    return [
        path
        for path, size in unlisted.items()
        if _fold(path) in folded or (size and (size in sizes or (is_open and size <= MAXIMAL_UNKNOWN_BYTES)))
    ]


def _digest(inspection: Inspection, path: str, algorithm: str) -> str | None:
    if not inspection.may_read(inspection.sizes[path]):
        return None
    try:
        with inspection.open(path) as file:
            return file_digests(file, (algorithm,))[algorithm]
    except (OSError, ArchiverError):
        return None


def _fold(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _told(path: str, now: str) -> Elsewhere:
    if unicodedata.normalize("NFC", path) == unicodedata.normalize("NFC", now):
        form = "decomposed, as macOS does" if now == unicodedata.normalize("NFD", now) else "composed"
        how = f"its name is written in another Unicode form ({form}); the bytes are the same"
        return Elsewhere(now, "renamed", f"was renamed to {now!r}: {how}")
    if _fold(path) == _fold(now):
        how = "upper and lower case were not kept (a file system or an archiver that does not tell them apart)"
        return Elsewhere(now, "renamed", f"was renamed to {now!r}: {how}")
    if posixpath.dirname(path) == posixpath.dirname(now):
        return Elsewhere(now, "renamed", f"was renamed to {now!r}; the bytes are the same")
    return Elsewhere(now, "moved", f"is now at {now!r}; the bytes are the same")
