"""`verify_cache`: whether a cache is whole, and which items are not. Reads with neither libhdf5 nor its filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.cache import hdf5, journal
from archiver.data.cache.columns import digest_of_columns
from archiver.data.cache.records import CacheItem, CacheManifest, manifest_path, read_manifest
from archiver.errors import DamagedFileError, FindingsError, NotAnArchiveError, UnsafeFileError
from archiver.storage import files
from archiver.storage.digests import file_digests, hasher
from archiver.storage.hdf5 import Hdf5Tensors

OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class CacheReport:
    """The outcome of checking a cache."""

    path: Path
    item_count: int
    window_count: int
    is_complete: bool
    findings: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether it is complete, and nothing is damaged."""
        return self.is_complete and not self.findings

    def raise_for_findings(self) -> None:
        """Raise unless the cache is whole.

        Raises:
            FindingsError: it is not; the message lists the findings.
        """
        if not self.is_whole:
            lines = self.findings or ("it is not complete",)
            raise FindingsError("\n".join([f"{self.path} is not whole:", *lines]))


def verify_cache(path: str | Path, on_bytes: OnBytes | None = None) -> CacheReport:
    """Check a cache against its manifest. One that is not complete is checked item by item.

    Args:
        path: of the HDF5 file.
        on_bytes: told of every block that is read.

    Raises:
        NotAnArchiveError: there is no cache.
        FormatVersionError: a newer version of archiver wrote it.
        DamagedFileError: its manifest cannot be understood.
        StorageError: a file cannot be read.
    """
    cache = Path(path)
    manifest = read_manifest(cache)
    if manifest is None:
        raise NotAnArchiveError(f"There is no window cache at {cache}: no {manifest_path(cache).name} that begins one.")
    findings = tuple(_findings(cache, manifest, on_bytes))
    is_complete = manifest.complete is not None
    return CacheReport(cache, len(manifest.items), manifest.window_count, is_complete, findings)


def _findings(cache: Path, manifest: CacheManifest, on_bytes: OnBytes | None) -> Iterator[str]:
    if not cache.exists():
        yield "the HDF5 file is missing"
        return
    if journal.journal_path(cache).exists():
        yield "it is being written, or its last commit was cut off: build on, which completes it, and check again"
        return
    size = cache.stat().st_size
    if size < manifest.size_bytes:
        yield f"the HDF5 file has {size:,} bytes instead of {manifest.size_bytes:,}: it was cut short"
    complete = manifest.complete
    if complete is not None:
        if complete.window_count != manifest.window_count:
            yield f"the manifest lacks lines: it has {manifest.window_count} windows instead of {complete.window_count}"
        if complete.lines_blake3 != manifest.lines_blake3:
            yield "lines of the manifest are not those that were written"
        with files.explained("read", cache), cache.open("rb") as file:
            if file_digests(file, ["blake3"], on_bytes)["blake3"] == complete.blake3:
                return
        yield "the HDF5 file is not the one that was completed: its BLAKE3 differs"
    try:
        yield from _damaged_items(cache, manifest)
    except (DamagedFileError, UnsafeFileError) as error:
        yield f"its items cannot be checked: {error}"


def _damaged_items(cache: Path, manifest: CacheManifest) -> Iterator[str]:
    with files.explained("read", cache), cache.open("rb") as file:
        tensors = Hdf5Tensors(file, str(cache), packed=(hdf5.WINDOWS,))
        shape = tensors.entries[hdf5.WINDOWS].shape if hdf5.WINDOWS in tensors.entries else ()
        expected = (manifest.window_count, *manifest.header.window_shape)
        if shape != expected:
            yield f"it holds windows of the shape {shape} instead of {expected}"
            return
        chunks = tensors.packed_chunks(hdf5.WINDOWS)
        columns = {path: _column(tensors, path) for path in _column_paths(tensors)}
        for item in manifest.items:
            if _windows_digest(chunks, item) != item.windows_blake3:
                yield f"item {item.item!r}: its windows, {_span(item)}, are not those that were written"
            last = item.begin + item.window_count
            rows = {path: column[item.begin : last] for path, column in columns.items()} if item.window_count else {}
            if digest_of_columns(rows) != item.columns_blake3:
                yield f"item {item.item!r}: labels, groups or metadata of {_span(item)} are not those that were written"


def _span(item: CacheItem) -> str:
    return f"windows {item.begin} to {item.begin + item.window_count - 1}"


def _windows_digest(chunks: Iterator[bytes], item: CacheItem) -> str:
    digest = hasher("blake3")
    for _ in range(item.window_count):
        data = next(chunks)
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _column_paths(tensors: Hdf5Tensors) -> set[str]:
    """Of labels, groups and metadata."""
    found = {location.removesuffix("/codes").removesuffix("/names") for location in tensors.entries}
    return {path for path in found if path.partition("/")[0] in (hdf5.LABELS, "groups", "metadata")}


def _column(tensors: Hdf5Tensors, path: str) -> NDArray[Any]:
    if path in tensors.entries:
        return _array(tensors, path)
    codes, names = _array(tensors, f"{path}/codes"), _array(tensors, f"{path}/names")
    texts = np.array([name.decode("utf-8", "replace") for name in names.tolist()] or [""], np.str_)
    if len(codes) and not 0 <= codes.min() <= codes.max() < len(names):
        raise DamagedFileError(f"{path}/codes has codes of names that are not there")
    found: NDArray[Any] = texts[codes]
    return found


def _array(tensors: Hdf5Tensors, location: str) -> NDArray[Any]:
    entry = tensors.entries.get(location)
    if entry is None:
        raise DamagedFileError(f"{location} is missing")
    dtype = np.dtype(f"S{entry.item_bytes}" if entry.dtype.startswith("bytes") else entry.dtype)
    return np.frombuffer(tensors.content(location), dtype.newbyteorder("<")).reshape(entry.shape)
