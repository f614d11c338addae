"""`CacheWriter`: puts items into a cache, each whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from archiver.data.cache import hdf5, journal
from archiver.data.cache.codecs import require_codec
from archiver.data.cache.columns import append_columns
from archiver.data.cache.held_file import HeldFile
from archiver.data.cache.item_writer import ItemWriter, Rows
from archiver.data.cache.records import (
    Begun,
    CacheComplete,
    CacheHeader,
    CacheManifest,
    manifest_path,
    read_manifest,
)
from archiver.data.feeding.scaling import Scaling, scaling_of
from archiver.data.lines import as_line, whole_lines
from archiver.errors import ArgumentError, DamagedFileError, NotAnArchiveError, RunStateError
from archiver.storage import files
from archiver.storage.digests import file_digests
from archiver.storage.jsonable import jsonable
from archiver.storage.locks import try_lock


class CacheWriter:
    """Writes a cache, item by item; made by `WindowCache.create`. A context manager; leaving it closes the cache.

    Attributes:
        path: of the HDF5 file.
        manifest: what is in it.
    """

    def __init__(self, path: Path, header: CacheHeader) -> None:
        self.path = path
        self._lock = claim(path)
        try:
            self.manifest = _begun(path, header)
        except BaseException:
            os.close(self._lock)
            raise
        self._names = {item.item for item in self.manifest.items}

    def __contains__(self, item: object) -> bool:
        return item in self._names

    def __enter__(self) -> CacheWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the cache free for others; it can be gone on with. `complete` says that nothing is missing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @contextlib.contextmanager
    def item(
        self, name: str, *, scale: Any = None, offset: Any = 0.0, source: Mapping[str, Any] | None = None
    ) -> Iterator[ItemWriter]:
        """Windows of an item; committed when the body ends well, as if never begun when it raises.

        Args:
            name: of the item, new in this cache.
            scale: for a cache whose items bring their own scales.
            offset: likewise.
            source: what an archive should know of where the item comes from: JSON values. May be filled in the body.

        Raises:
            ArgumentError: the item is there already, or a scale that cannot be.
            RunStateError: the cache is closed, or complete.
            DataError: its columns differ from those of the items before.
            StorageError: the file system refused, such as a full disk; the items before are safe.
        """
        self._require_open()
        self._settle()
        if name in self._names:
            raise ArgumentError(f"Received the item {name!r}, which is in {self.path}. Expected a new one.")
        header, scaling = self.manifest.header, self._scaling(scale, offset)
        with files.explained("write", self.path):
            held = HeldFile(self.path, self.manifest.size_bytes)
        try:
            with _hdf5_in(held) as file:
                writer = ItemWriter(header, held, file, self.manifest.window_count, scaling)
                yield writer
                self._write_rows(file, name, writer, scaling)
            done = writer.record(name, held.size_bytes, dict(jsonable(source or {})))
            journal.commit(held, manifest_path(self.path), as_line(done))
        except BaseException:
            held.forget()
            raise
        finally:
            held.close()
        self.manifest.items.append(done)
        self._names.add(name)

    def append(
        self,
        windows: Any,
        labels: Any = None,
        groups: Rows | None = None,
        metadata: Rows | None = None,
        *,
        item: str | None = None,
    ) -> None:
        """Add windows as an item of their own; see `ItemWriter.append` and `item`.

        Args:
            windows: shape (windows, *window_shape).
            labels: one row per window.
            groups: by kind, one name per window, or one for all.
            metadata: by name, one value per window, or one for all.
            item: its name; None: `item-` and a number.
        """
        with self.item(item or f"item-{len(self.manifest.items):06}") as writer:
            writer.append(windows, labels, groups, metadata)

    def complete(self) -> None:
        """Say that nothing is missing, with a digest of the whole file; then close.

        Raises:
            RunStateError: the cache is closed, or complete already.
            StorageError: the file system refused.
        """
        self._require_open()
        with files.explained("read", self.path), self.path.open("rb") as file:
            digest = file_digests(file, ["blake3"])["blake3"]
        written = read_manifest(self.path)
        assert written is not None
        line = CacheComplete(window_count=self.manifest.window_count, blake3=digest, lines_blake3=written.lines_blake3)
        journal.append_line(manifest_path(self.path), as_line(line))
        self.manifest.complete = line
        self.close()

    def _settle(self) -> None:
        """Complete a commit that the file system refused in the middle, such as on a disk that was full."""
        if journal.journal_path(self.path).exists():
            self.manifest = _begun(self.path, self.manifest.header)
            self._names = {item.item for item in self.manifest.items}

    def _require_open(self) -> None:
        if self.manifest.complete is not None:
            raise RunStateError(f"{self.path} is complete. Create another cache, and read both as one data set.")
        if self._lock < 0:
            raise RunStateError(f"{self.path} is closed. Create it again with the same arguments to go on.")

    def _scaling(self, scale: Any, offset: Any) -> Scaling | None:
        header = self.manifest.header
        if header.scale_shape is None or header.scale is not None:
            if scale is not None:
                raise ArgumentError("Received scale= for an item. Expected none: the cache was not created for it.")
            return None if header.scale is None else scaling_of(header.scale, header.offset, header.window_shape)
        if scale is None:
            raise ArgumentError('Received no scale= for an item. Expected one: the cache has scale="item".')
        found = scaling_of(scale, offset, header.window_shape)
        return Scaling(*(np.broadcast_to(part, header.scale_shape) for part in (found.scale, found.offset)))

    def _write_rows(self, file: Any, name: str, writer: ItemWriter, scaling: Scaling | None) -> None:
        if not writer.window_count:
            return
        names = np.array([name] * writer.window_count, np.str_)
        append_columns(file, {**writer.columns(), hdf5.ITEM: names}, self.manifest.window_count)
        if scaling is not None:
            hdf5.append_scaling(file, scaling.scale, scaling.offset)


def claim(path: Path) -> int:
    """The manifest, open and locked: the kernel gives the lock back when the process ends in any way.

    Raises:
        RunStateError: another process writes this cache.
        StorageError: the file system refused.
    """
    lines = manifest_path(path)
    with files.explained("write", lines):
        os.makedirs(lines.parent, exist_ok=True)
        descriptor = os.open(lines, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    if not try_lock(descriptor):
        os.close(descriptor)
        raise RunStateError(f"Another process is writing {path}. Wait until it ends.")
    return descriptor


def _begun(path: Path, header: CacheHeader) -> CacheManifest:
    require_codec(header.codec)
    for left in path.parent.glob(f"{files.TEMPORARY_PREFIX}*-{glob.escape(path.name)}*"):
        files.remove(left)  # of a process that was killed: this one has the lock
    journal.recover(path, manifest_path(path))
    found = read_manifest(path)
    if found is None:
        return _begin(path, header)
    _require_same(found.header, header, path)
    if not path.exists():
        raise DamagedFileError(
            f"{path} is missing, of which {manifest_path(path).name} tells. Put it back, or remove the manifest and "
            "build it again."
        )
    size = path.stat().st_size
    if size < found.size_bytes:
        raise DamagedFileError(
            f"{path} has {size:,} bytes. Expected {found.size_bytes:,}: it was cut short. Remove it and "
            f"{manifest_path(path).name}, and build it again."
        )
    return found


def _begin(path: Path, header: CacheHeader) -> CacheManifest:
    lines = manifest_path(path)
    if path.exists() and not list(whole_lines(lines)):
        files.remove(lines)
        raise NotAnArchiveError(f"{path} is there, and no window cache. Give another path, or remove it.")
    with files.explained("write", lines):
        os.truncate(lines, 0)
    files.append_bytes(lines, as_line(header))
    hdf5.write_empty(path, header)
    size = path.stat().st_size
    files.append_bytes(lines, as_line(Begun(size_bytes=size)))
    return CacheManifest(header, size)


def _require_same(found: CacheHeader, header: CacheHeader, path: Path) -> None:
    for name, value in header.model_dump(mode="json").items():
        there = found.model_dump(mode="json")[name]
        if there != value:
            raise RunStateError(
                f"{path} was begun with {name} {there!r}. Received {value!r}. Go on with the same, or give another "
                "path."
            )


@contextlib.contextmanager
def _hdf5_in(held: HeldFile) -> Iterator[Any]:
    """The HDF5 file in a held one. What fails while it is closed matters only where the body did not fail."""
    import h5py

    file = h5py.File(held, "r+", rdcc_nbytes=1 << 20)
    try:
        yield file
        file.close()
    except BaseException:
        held.forget()
        with contextlib.suppress(Exception):
            file.close()
        raise
