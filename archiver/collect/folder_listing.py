"""What is in a folder: its files in the order of their paths, counted and told apart without reading them."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from archiver.collect.data_paths import visible
from archiver.collect.reading_limits import Limits
from archiver.records.base import Unavailable
from archiver.records.data_source import PathReasonPart, SuffixPart

FIRST_COUNT = 20
"""How many of those that stand out are named."""
MAXIMAL_SUFFIXES = 50
_MAXIMAL_COUNTED_SUFFIXES = 5000
_FILES_BETWEEN_CHECKS = 256
_OTHER = b"/"
"""No suffix has a slash."""


class FoundFile(NamedTuple):
    """A regular file below a folder."""

    path: bytes
    """Relative, with `/`."""
    size_bytes: int
    modified_ns: int


@dataclass
class FaultyFiles:
    """Files and folders that cannot be read: how many, and the first ones."""

    count: int = 0
    first: list[PathReasonPart] = field(default_factory=list)

    def add(self, path: bytes, error: OSError) -> None:
        """Note one."""
        self.count += 1
        if len(self.first) < FIRST_COUNT:
            self.first.append(PathReasonPart(path=visible(path) or ".", reason=error.strerror or str(error)))


@dataclass
class Tally:
    """What a walk meets besides regular files."""

    folder_count: int = 0
    link_count: int = 0
    special_count: int = 0
    unreadable: FaultyFiles = field(default_factory=FaultyFiles)


def walk(root: bytes, tally: Tally, limits: Limits) -> Iterator[FoundFile]:
    """The regular files below `root`, sorted by the bytes of their relative paths; no link is followed.

    Memory is needed for the entries of one folder at a time, not for the whole tree.

    Raises:
        CutShortError: see `Limits`.
    """
    waiting: list[FoundFile | bytes] = [b""]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, FoundFile):
            yield entry
            continue
        try:
            waiting += _entries(root, entry, tally, limits)
        except OSError as error:
            tally.unreadable.add(entry, error)


def _entries(root: bytes, folder: bytes, tally: Tally, limits: Limits) -> list[FoundFile | bytes]:
    """Files, and sub-folders by their paths, the last ones first."""
    found: list[tuple[bytes, FoundFile | bytes]] = []
    prefix = folder + b"/" if folder else b""
    with os.scandir(os.path.join(root, folder)) as entries:
        for number, entry in enumerate(entries, 1):
            if number % _FILES_BETWEEN_CHECKS == 0:
                limits.count_listed(_FILES_BETWEEN_CHECKS)
            path = prefix + entry.name
            if entry.is_symlink():
                tally.link_count += 1
            elif entry.is_dir(follow_symlinks=False):
                tally.folder_count += 1
                # a sub-folder's files stand where its name with a slash stands
                found.append((entry.name + b"/", path))
            elif entry.is_file(follow_symlinks=False):
                _add_file(found, entry, path, tally)
            else:
                tally.special_count += 1
    limits.count_listed(len(found) % _FILES_BETWEEN_CHECKS)
    found.sort(key=lambda pair: pair[0], reverse=True)
    return [item for _, item in found]


def _add_file(
    found: list[tuple[bytes, FoundFile | bytes]], entry: os.DirEntry[bytes], path: bytes, tally: Tally
) -> None:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        tally.unreadable.add(path, error)
    else:
        found.append((entry.name, FoundFile(path, status.st_size, status.st_mtime_ns)))


class Listing:
    """What is known of a folder from its names, sizes and times."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.cut_short: str | None = None
        self.file_count = 0
        self.total_bytes = 0
        self.oldest_ns: int | None = None
        self.newest_ns: int | None = None
        self._suffix_counts: Counter[bytes] = Counter()
        self._suffix_bytes: Counter[bytes] = Counter()
        self._digest = hashlib.sha256()

    def add(self, file: FoundFile) -> None:
        """Count a file."""
        self.file_count += 1
        self.total_bytes += file.size_bytes
        if self.oldest_ns is None or file.modified_ns < self.oldest_ns:
            self.oldest_ns = file.modified_ns
        if self.newest_ns is None or file.modified_ns > self.newest_ns:
            self.newest_ns = file.modified_ns
        suffix = suffix_of(file.path)
        if suffix not in self._suffix_counts and len(self._suffix_counts) >= _MAXIMAL_COUNTED_SUFFIXES:
            suffix = _OTHER
        self._suffix_counts[suffix] += 1
        self._suffix_bytes[suffix] += file.size_bytes
        self._digest.update(listing_line(file))

    def sha256(self) -> str:
        """Of the lines so far."""
        return self._digest.hexdigest()

    def suffixes(self) -> dict[str, SuffixPart]:
        """The most frequent suffixes, the rest together."""
        ordered = sorted(self._suffix_counts, key=lambda suffix: (-self._suffix_counts[suffix], suffix))
        named = [suffix for suffix in ordered if suffix != _OTHER][:MAXIMAL_SUFFIXES]
        parts = {visible(suffix) or "(none)": self._suffix_part([suffix]) for suffix in named}
        rest = [suffix for suffix in ordered if suffix not in named]
        return parts | ({"(other)": self._suffix_part(rest)} if rest else {})

    def suffix_count(self, suffixes: frozenset[bytes]) -> int:
        """Files with one of these suffixes."""
        return sum(self._suffix_counts[suffix] for suffix in suffixes)

    def _suffix_part(self, suffixes: list[bytes]) -> SuffixPart:
        return SuffixPart(
            file_count=sum(self._suffix_counts[suffix] for suffix in suffixes),
            total_bytes=sum(self._suffix_bytes[suffix] for suffix in suffixes),
        )


def suffix_of(path: bytes) -> bytes:
    """`.jpg` of `a/b.JPG`; empty for `.hidden` and for names without a point."""
    return os.path.splitext(path)[1].lower()


def listing_line(file: FoundFile) -> bytes:
    """A file's line in the listing."""
    return b"%d  %s\n" % (file.size_bytes, file.path)


def manifest_line(sha256: str, path: bytes) -> bytes:
    """A file's line in the manifest, as sha256sum writes it: a name with a line break or a backslash is escaped."""
    escaped = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"" if escaped == path else b"\\") + sha256.encode() + b"  " + escaped + b"\n"


def time_of(nanoseconds: int | None) -> datetime | Unavailable:
    """A file's time in UTC."""
    if nanoseconds is None:
        return Unavailable(unavailable="there is no file")
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return Unavailable(unavailable=f"the file system says {nanoseconds} ns after 1970, which is no date")
