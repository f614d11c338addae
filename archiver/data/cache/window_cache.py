"""`WindowCache`: the windows of a cache, read by number."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archiver.data.buffers import BUFFERS
from archiver.data.cache import hdf5, journal
from archiver.data.cache.codecs import PLUGIN_CODECS, require_codec, require_plugin
from archiver.data.cache.columns import column_paths, read_column
from archiver.data.cache.records import CacheHeader, CacheItem, CacheManifest, manifest_path, read_manifest
from archiver.data.cache.writer import CacheWriter, claim
from archiver.data.feeding.scaling import Scaling, scaling_of
from archiver.data.feeding.window_file import checked_numbers, runs
from archiver.errors import ArgumentError, DamagedFileError, NotAnArchiveError, RunStateError
from archiver.storage import files
from archiver.storage.jsonable import jsonable


class WindowCache:
    """Windows of a cache; may be read from several threads, and goes to other processes by its path.

    Args:
        path: of the HDF5 file.
        allow_incomplete: read what is there of a cache that is not complete.

    Attributes:
        path: of the HDF5 file.
        manifest: what is in it.
        metadata: by name, one value per window.

    Raises:
        NotAnArchiveError: there is no cache.
        RunStateError: it is not complete, or just being written.
        DamagedFileError: a file is not what it should be.
        FormatVersionError: a newer version of archiver wrote it.
        MissingExtraError: it needs hdf5plugin, which is not installed.
        StorageError: the file system refused.
    """

    def __init__(self, path: str | os.PathLike[str], *, allow_incomplete: bool = False) -> None:
        self.path, self._allow_incomplete = Path(path), allow_incomplete
        self.manifest = _settled(self.path)
        if self.manifest.complete is None and not allow_incomplete:
            raise RunStateError(
                f"{self.path} is not complete: it has {len(self.manifest.items)} items so far. Go on building it, or "
                "give allow_incomplete=True."
            )
        self._open()

    def _open(self) -> None:
        import h5py

        header = self.manifest.header
        if header.codec in PLUGIN_CODECS:
            require_plugin(header.codec)
        try:
            self._file = h5py.File(self.path, "r", rdcc_nbytes=0)
            self._windows = self._file[hdf5.WINDOWS]
            columns = {path: read_column(self._file, path) for path in column_paths(self._file)}
            self._scales = None if header.scale_shape is None else self._read_scales(columns.get(hdf5.ITEM))
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise DamagedFileError(f"{self.path} cannot be read: {error}. Check it: archiver cache verify.") from error
        found = (self._windows.shape, self._windows.dtype)
        if found != ((self.manifest.window_count, *header.window_shape), np.dtype(header.stored_dtype)):
            raise DamagedFileError(f"{self.path} holds {found}, other windows than its manifest says. Build it again.")
        self.labels: NDArray[Any] | None = columns.get(hdf5.LABELS)
        self.groups: Mapping[str, NDArray[np.str_]] = _below("groups", columns)
        self.metadata: Mapping[str, NDArray[Any]] = _below("metadata", columns)

    def _read_scales(self, items: NDArray[np.str_] | None) -> tuple[Any, Any, NDArray[np.int64]]:
        """Scale and offset by item, and the item of each window."""
        codes = np.empty(0, np.int64) if items is None else self._file[f"{hdf5.ITEM}/codes"][:].astype(np.int64)
        return self._file[hdf5.SCALE][:], self._file[hdf5.OFFSET][:], codes

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_allow_incomplete": self._allow_incomplete, "manifest": self.manifest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()

    def __enter__(self) -> WindowCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def items(self) -> tuple[CacheItem, ...]:
        """What it is made of, in order: with names, first windows, numbers of windows and digests."""
        return tuple(self.manifest.items)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of windows, then the shape of one."""
        return (self.manifest.window_count, *self.manifest.header.window_shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what `read` returns."""
        return np.dtype(self.manifest.header.dtype).newbyteorder("=")

    def read(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The windows of these numbers, in this order: shape (len(numbers), *window_shape).

        Raises:
            IndexError: a number is not below `shape[0]`, or negative.
            DamagedFileError: a window cannot be unpacked; the message names it.
        """
        numbers = checked_numbers(numbers, self.shape[0])
        stored = self.read_stored(numbers)
        if self._scales is None:
            return stored.astype(self.dtype, copy=False)
        scales, offsets, items = self._scales
        own = items[numbers]
        if not len(own) or (own == own[0]).all():
            return Scaling(scales[own[0]], offsets[own[0]]).applied(stored) if len(own) else stored.astype(self.dtype)
        values: NDArray[np.float32] = BUFFERS.array(stored.shape, np.dtype(np.float32))
        np.multiply(stored, scales[own], out=values, dtype=np.float32)
        if offsets.any():
            values += offsets[own]
        return values

    def read_stored(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The same as it lies in the file, without scale and offset."""
        import h5py

        numbers = checked_numbers(numbers, self.shape[0])
        shape = self.manifest.header.window_shape
        stored = BUFFERS.array((len(numbers), *shape), np.dtype(self.manifest.header.stored_dtype))
        zeros, space = (0,) * len(shape), self._windows.id.get_space()
        stored_type, target = h5py.h5t.py_create(stored.dtype), None
        for begin, end in runs(numbers):
            size = (end - begin, *shape)
            space.select_hyperslab((int(numbers[begin]), *zeros), size)
            if target is None or target.shape != size:  # making one takes as long as unpacking a window
                target = h5py.h5s.create_simple(size)
            try:
                self._windows.id.read(target, space, stored[begin:end], stored_type)
            except (OSError, RuntimeError, ValueError) as error:
                raise DamagedFileError(
                    f"{self.path}: windows {numbers[begin]} to {numbers[end - 1]} cannot be read ({error}). Check it: "
                    "archiver cache verify."
                ) from error
        return stored

    def described(self) -> dict[str, Any]:
        """What an archive records of it."""
        header, complete = self.manifest.header, self.manifest.complete
        return {
            "kind": "window_cache",
            "file": self.path.name,
            "shape": list(self.shape),
            "dtype": str(self.dtype),
            "stored_dtype": header.stored_dtype,
            "codec": header.codec,
            "maximal_error": max((item.maximal_error for item in self.items), default=0.0),
            "items": len(self.items),
            "blake3": None if complete is None else complete.blake3,
            "groups": sorted(self.groups),
            "description": jsonable(header.description),
        }

    # -- beginnings

    @staticmethod
    def create(
        path: str | os.PathLike[str],
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        *,
        codec: str = "bitshuffle_lz4",
        scale: Any = None,
        offset: Any = 0.0,
        stored_dtype: Any = np.int16,
        maximal_error: float | None = None,
        non_finite: Literal["refuse", "keep"] = "refuse",
        description: Mapping[str, Any] | None = None,
    ) -> CacheWriter:
        """Begin a cache, or go on with one that is not complete.

        Args:
            path: of the HDF5 file; the manifest comes beside it.
            shape: of a window, such as (channels, samples).
            dtype: of the windows. They are kept exactly, unless there is a scale.
            codec: how they are packed: `"bitshuffle_lz4"`, `"bitshuffle_zstd"`, `"gzip"` (opens without plugins
                anywhere) or `"none"`.
            scale: quantise: whole numbers are stored, and what is read is `stored * scale + offset` in float32. A
                number, or an array that spreads over a window such as (channels, 1); `"item"`: each item brings its
                own, a number for each channel.
            offset: with `scale`, likewise.
            stored_dtype: with `scale`, the type of the whole numbers.
            maximal_error: with `scale`, by how much a value that is read may differ; None: by half a step, and the
                rounding of float32. By how much it really does stands with each item.
            non_finite: refuse windows with values that are not finite, or keep them.
            description: what an archive should know: sampling rate, channels, and so on. JSON values.

        Raises:
            ArgumentError: an argument that cannot be.
            RunStateError: another process writes the cache, it is complete, or it was begun with other arguments.
            NotAnArchiveError: something else is at `path`.
            StorageError: the file system refused.
        """
        header = cache_header(
            tuple(shape), np.dtype(dtype), codec, scale, offset, np.dtype(stored_dtype), maximal_error, non_finite
        )
        writer = CacheWriter(Path(path), header.model_copy(update={"description": dict(jsonable(description or {}))}))
        if writer.manifest.complete is not None:
            writer.close()
            raise RunStateError(f"{path} is complete. Open it, give another path, or remove it.")
        return writer

    @staticmethod
    def open(path: str | os.PathLike[str], *, allow_incomplete: bool = False) -> WindowCache:
        """The same as `WindowCache(path)`."""
        return WindowCache(path, allow_incomplete=allow_incomplete)


def cache_header(  # noqa: PLR0917 - the arguments of `create`, in its order
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    codec: str,
    scale: Any,
    offset: Any,
    stored_dtype: np.dtype[Any],
    maximal_error: float | None,
    non_finite: str,
) -> CacheHeader:
    """The header of a cache, without its description; the arguments are those of `WindowCache.create`.

    Raises:
        ArgumentError: an argument that cannot be.
        MissingExtraError: the codec needs hdf5plugin, which is not installed.
    """
    if not shape or any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in shape):
        raise ArgumentError(f"Received shape={shape!r}. Expected that of a window: whole numbers of at least 1.")
    if dtype.kind not in "biuf":
        raise ArgumentError(f"Received dtype={dtype}. Expected numbers.")
    if non_finite not in ("refuse", "keep"):
        raise ArgumentError(f'Received non_finite={non_finite!r}. Expected "refuse" or "keep".')
    common = {"window_shape": shape, "codec": require_codec(codec), "non_finite": non_finite, "description": {}}
    if scale is None:
        if maximal_error:
            raise ArgumentError("Received maximal_error= without scale=. Expected both: without, nothing is lost.")
        little = dtype.newbyteorder("<").str
        return CacheHeader(dtype=little, stored_dtype=little, scale_shape=None, maximal_error=0.0, **common)
    if dtype != np.float32 or stored_dtype.kind not in "iu":
        raise ArgumentError(
            f"Received dtype={dtype}, stored_dtype={stored_dtype} with scale=. Expected float32, and whole numbers."
        )
    channels = (shape[0], *(1,) * (len(shape) - 1))
    stored = {"dtype": "<f4", "stored_dtype": stored_dtype.newbyteorder("<").str, "scale_shape": channels}
    if isinstance(scale, str):
        if scale != "item":
            raise ArgumentError(f'Received scale={scale!r}. Expected a number, an array or "item".')
        return CacheHeader(maximal_error=maximal_error, **stored, **common)
    scaling = scaling_of(scale, offset, shape)
    values = {"scale": scaling.scale.astype(float).tolist(), "offset": scaling.offset.astype(float).tolist()}
    scale_shape = np.broadcast_shapes(scaling.scale.shape, scaling.offset.shape, (1,) * len(shape))
    return CacheHeader(maximal_error=maximal_error, **stored | {"scale_shape": scale_shape}, **values, **common)


def _below(parent: str, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {path.partition("/")[2]: rows for path, rows in columns.items() if path.startswith(f"{parent}/")}


def _settled(path: Path) -> CacheManifest:
    """The manifest, after a commit that was cut off is carried out."""
    if journal.journal_path(path).exists():
        lock = claim(path)
        try:
            journal.recover(path, manifest_path(path))
        finally:
            with contextlib.suppress(OSError):
                os.close(lock)
    found = read_manifest(path)
    if found is None:
        raise NotAnArchiveError(f"There is no window cache at {path}: {manifest_path(path).name} says nothing of it.")
    with files.explained("read", path):
        size = path.stat().st_size
    if size < found.size_bytes:
        raise DamagedFileError(
            f"{path} has {size:,} bytes. Expected {found.size_bytes:,}: it was cut short. Build it again."
        )
    return found
