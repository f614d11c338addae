"""The lines of `<path>.manifest.jsonl`: what a cache is, an item each, and that it is complete."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from archiver.data.lines import whole_lines
from archiver.errors import DamagedFileError, FormatVersionError, NotAnArchiveError
from archiver.storage.digests import hasher

FORMAT_VERSION = 1
KIND = "archiver_window_cache"
SUFFIX = ".manifest.jsonl"


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CacheHeader(_Line):
    """The first line: what must be the same for the work to go on."""

    kind: Literal["archiver_window_cache"] = "archiver_window_cache"
    format_version: int = FORMAT_VERSION
    window_shape: tuple[int, ...]
    dtype: str
    """Of what is read, little-endian, in NumPy's words."""
    stored_dtype: str
    """Of the elements in the file."""
    scale_shape: tuple[int, ...] | None
    """Of the scale and offset of each item, which spread over a window; None: the elements are the values."""
    scale: Any = None
    """With which windows are quantised; None: each item brings its own."""
    offset: Any = None
    maximal_error: float | None
    """By how much a value that is read may differ from the one that was given; None: by half a step of its scale, and
    the rounding of float32."""
    codec: str
    non_finite: Literal["refuse", "keep"]
    description: dict[str, Any]
    """What the user or the builder says of it: sampling rate, channels, how the windows were cut."""

    @property
    def window_bytes(self) -> int:
        """Of the elements of a window, not packed."""
        return int(np.prod(self.window_shape, dtype=np.int64)) * np.dtype(self.stored_dtype).itemsize


class CacheItem(_Line):
    """The line of an item that is in the cache."""

    item: str
    begin: int
    """Number of its first window."""
    window_count: int
    maximal_error: float
    """By how much a value that is read really differs at most from the one that was given."""
    windows_blake3: str
    """Of its packed windows, in order."""
    columns_blake3: str
    """Of its labels, groups and metadata."""
    size_bytes: int
    """Of the file when the item was in it."""
    source: dict[str, Any]
    """What it was made of, and what was left out."""


class CacheComplete(_Line):
    """The last line."""

    complete: Literal[True] = True
    window_count: int
    blake3: str
    """Of the whole HDF5 file."""
    lines_blake3: str
    """Of the lines of the manifest before."""


@dataclass
class CacheManifest:
    """What the lines say."""

    header: CacheHeader
    begin_bytes: int
    """Of the file when it had no item."""
    items: list[CacheItem] = field(default_factory=list)
    complete: CacheComplete | None = None
    lines_blake3: str = ""
    """Of the lines, without the one that says it is complete."""

    @property
    def window_count(self) -> int:
        """Windows of all items."""
        return self.items[-1].begin + self.items[-1].window_count if self.items else 0

    @property
    def size_bytes(self) -> int:
        """How much of the file is committed."""
        return self.items[-1].size_bytes if self.items else self.begin_bytes


class Begun(_Line):
    """The second line: the file is there, and empty."""

    begun: Literal[True] = True
    size_bytes: int


def manifest_path(cache: Path) -> Path:
    """Of the cache at a path."""
    return cache.with_name(f"{cache.name}{SUFFIX}")


def read_manifest(cache: Path) -> CacheManifest | None:
    """The manifest of the cache at a path; None where it was not begun.

    Raises:
        DamagedFileError: a line cannot be understood.
        FormatVersionError: a newer version wrote it.
        NotAnArchiveError: it belongs to something else.
        StorageError: it cannot be read.
    """
    path = manifest_path(cache)
    lines = list(whole_lines(path))
    if len(lines) < 2:  # noqa: PLR2004 - the header, and that the file is there
        return None
    found = CacheManifest(_header(lines[0], path), 0)
    for number, line in enumerate(lines[1:], 2):
        try:
            _take(found, line, path, is_second=number == 2)  # noqa: PLR2004 - behind the header
        except ValidationError as error:
            raise DamagedFileError(f"{path}: line {number} is no line of ours. Build the cache again.") from error
    digest = hasher("blake3")
    digest.update(b"".join(lines[: len(found.items) + 2]))
    found.lines_blake3 = digest.hexdigest()
    return found


def _take(found: CacheManifest, line: bytes, path: Path, *, is_second: bool) -> None:
    if found.complete is not None:
        raise DamagedFileError(f"{path}: a line follows the one that says the cache is complete.")
    if is_second:
        found.begin_bytes = Begun.model_validate_json(line).size_bytes
    elif line.startswith(b'{"complete"'):
        found.complete = CacheComplete.model_validate_json(line)
    else:
        found.items.append(_next_item(CacheItem.model_validate_json(line), found, path))


def _next_item(item: CacheItem, found: CacheManifest, path: Path) -> CacheItem:
    if item.begin != found.window_count or item.window_count < 0 or item.size_bytes < 0:
        raise DamagedFileError(
            f"{path}: the item {item.item!r} begins at window {item.begin}. Expected {found.window_count}: a line is "
            "missing or was changed."
        )
    return item


def _header(line: bytes, path: Path) -> CacheHeader:
    try:
        values = json.loads(line)
    except ValueError:
        values = None
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise NotAnArchiveError(f"{path} is no manifest of a window cache: its first line has no kind {KIND!r}.")
    version = values.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise FormatVersionError(
            f"{path} has the format version {version!r}; this archiver reads up to {FORMAT_VERSION}. Install a newer "
            "keras-archiver."
        )
    try:
        header = CacheHeader.model_validate(values)
        if np.dtype(header.dtype).kind not in "biuf" or np.dtype(header.stored_dtype).kind not in "biuf":
            raise TypeError("no numbers")  # noqa: TRY301 - told below like the others
    except (ValidationError, TypeError) as error:
        raise DamagedFileError(f"{path}: the first line does not say what the cache is. Build the cache again.") from (
            error
        )
    return header
