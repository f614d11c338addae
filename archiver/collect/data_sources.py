"""The files and folders that data came from, described one after the other.

A folder of 10,000 small images takes a second or two, large files as long as reading them does: this belongs on a
thread beside the training. Nothing is written, no link inside a folder is followed, nothing is decoded or executed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import BinaryIO

from archiver.collect.data_folders import describe_folder
from archiver.collect.data_formats import HEAD_BYTES, data_format
from archiver.collect.data_paths import MAXIMAL_PATHS, NamedPath, visible
from archiver.collect.folder_listing import time_of
from archiver.collect.reading_limits import CutShortError, Limits, open_regular, sha256_of_rest
from archiver.records.base import Unavailable
from archiver.records.data_source import DataFilePart, DataFolderPart, NotDescribedPart

SourcePart = DataFolderPart | DataFilePart | NotDescribedPart


def describe_paths(paths: Iterable[NamedPath], limits: Limits) -> tuple[SourcePart, ...]:
    """One part per path, in their order; text that is no path of anything has none. The same place is read once.

    Paths beyond the first `MAXIMAL_PATHS` are one part that says so.
    """
    known: dict[str, SourcePart] = {}
    parts: list[SourcePart] = []
    for number, named in enumerate(paths):
        if number == MAXIMAL_PATHS:
            parts.append(_not_described(named, f"this and what follows are more than {MAXIMAL_PATHS:,} paths"))
            break
        if named.path not in known:
            part = describe_path(named, limits)
            if part is None:
                continue
            known[named.path] = part
        parts.append(known[named.path].model_copy(update={"name": named.name}))
    return tuple(parts)


def describe_path(named: NamedPath, limits: Limits) -> SourcePart | None:
    """A file or folder, or why it cannot be looked at; None for text that is no path of anything."""
    try:
        status = os.stat(named.path)
        real = os.path.realpath(named.path, strict=True)
        if stat.S_ISDIR(status.st_mode):
            os.scandir(real).close()
    except OSError as error:
        is_there = os.path.lexists(named.path)
        if not named.is_surely_path and not is_there:
            return None
        is_dangling = is_there and isinstance(error, FileNotFoundError)
        return _not_described(named, "is a link to nothing" if is_dangling else error.strerror or str(error))
    root, resolves_to = os.fsencode(real), None if real == named.path else visible(real)
    if stat.S_ISDIR(status.st_mode):
        return describe_folder(named, root, resolves_to, limits)
    if stat.S_ISREG(status.st_mode):
        return _describe_file(named, root, resolves_to, limits)
    return _not_described(named, "is neither a file nor a folder")


def _not_described(named: NamedPath, reason: str) -> NotDescribedPart:
    return NotDescribedPart(
        name=named.name, path=visible(named.path), exists=os.path.lexists(named.path), reason=reason
    )


def _describe_file(
    named: NamedPath, real: bytes, resolves_to: str | None, limits: Limits
) -> DataFilePart | NotDescribedPart:
    try:
        with open_regular(real) as file:
            status = os.fstat(file.fileno())
            head = file.read(HEAD_BYTES)
            file.seek(0)
            sha256 = limits.reserve(1, status.st_size) or _digest(file, limits)
            if os.fstat(file.fileno()).st_mtime_ns != status.st_mtime_ns:
                sha256 = Unavailable(unavailable="the file was changed while it was read")
    except OSError as error:
        return _not_described(named, error.strerror or str(error))
    return DataFilePart(
        name=named.name,
        path=visible(named.path),
        resolves_to=resolves_to,
        size_bytes=status.st_size,
        modified=time_of(status.st_mtime_ns),
        format=data_format(os.path.basename(named.path), head),
        sha256=sha256,
    )


def _digest(file: BinaryIO, limits: Limits) -> str | Unavailable:
    try:
        return sha256_of_rest(file, limits)
    except CutShortError as error:
        return Unavailable(unavailable=str(error))
