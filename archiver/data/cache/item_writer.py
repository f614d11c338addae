"""`ItemWriter`: windows of one item, checked, quantised where that is wanted, packed, and put into the HDF5 file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.cache import hdf5
from archiver.data.cache.chunks import Chunk, append_chunks, pack
from archiver.data.cache.columns import checked_column, digest_of_columns
from archiver.data.cache.held_file import HeldFile
from archiver.data.cache.records import CacheHeader, CacheItem
from archiver.data.feeding.scaling import Scaling
from archiver.errors import DataError
from archiver.storage.digests import hasher
from archiver.storage.files import explained

Rows = Mapping[str, Any]


class ItemWriter:
    """Windows of one item, on their way into a cache; made by `CacheWriter.item`."""

    def __init__(self, header: CacheHeader, held: HeldFile, file: Any, begin: int, scaling: Scaling | None) -> None:
        self._header, self._held, self._file, self._begin, self._scaling = header, held, file, begin, scaling
        self._digest = hasher("blake3")
        self._columns: dict[str, list[NDArray[Any]]] = {}
        self.window_count = 0
        self.maximal_error = 0.0

    def append(
        self, windows: Any, labels: Any = None, groups: Rows | None = None, metadata: Rows | None = None
    ) -> None:
        """Add windows.

        Args:
            windows: shape (windows, *window_shape), of the cache's type.
            labels: one row per window: numbers or texts.
            groups: by kind (`subject`, `recording`, `release`), one name per window, or one for all.
            metadata: by name, one number or text per window.

        Raises:
            DataError: they do not fit the cache, or what is read would differ by more than was allowed.
            StorageError: the file system refused.
        """
        array = np.asarray(windows)
        self._require_shape(array)
        stored, error = prepared(array, self._header, self._scaling, self.window_count)
        self.append_packed(pack(stored, self._header.codec), columns_of(len(array), labels, groups, metadata), error)

    def append_stored(
        self, windows: Any, labels: Any = None, groups: Rows | None = None, metadata: Rows | None = None
    ) -> None:
        """Add windows as they are stored: whole numbers that the item's scale and offset make values of.

        Raises:
            DataError: they are of another type or shape.
            StorageError: the file system refused.
        """
        array = np.asarray(windows)
        self._require_shape(array)
        if array.dtype != np.dtype(self._header.stored_dtype):
            raise DataError(
                f"Received {array.dtype} windows. Expected {self._header.stored_dtype}, as they are stored."
            )
        self.append_packed(pack(array, self._header.codec), columns_of(len(array), labels, groups, metadata))

    def append_packed(
        self, chunks: Sequence[Chunk], columns: Mapping[str, NDArray[Any]], maximal_error: float = 0.0
    ) -> None:
        """Add windows that were packed elsewhere, and their columns, as `columns_of` makes them.

        Raises:
            DataError: the columns are others than before.
            StorageError: the file system refused.
        """
        dataset, begin = self._file[hdf5.WINDOWS], self._begin + self.window_count
        dataset.resize(begin + len(chunks), axis=0)
        append_chunks(dataset, chunks, begin)
        with explained("write", self._held.path):
            self._held.raise_failure()
        for _, data in chunks:
            self._digest.update(len(data).to_bytes(8, "little"))
            self._digest.update(data)
        if self.window_count and sorted(columns) != sorted(self._columns):
            raise DataError(f"Received the columns {sorted(columns)}. Expected {sorted(self._columns)}, as before.")
        for path, rows in columns.items():
            self._columns.setdefault(path, []).append(rows)
        self.window_count += len(chunks)
        self.maximal_error = max(self.maximal_error, maximal_error)

    def _require_shape(self, array: NDArray[Any]) -> None:
        if array.shape[1:] != self._header.window_shape or not array.ndim:
            raise DataError(f"Received windows of shape {array.shape[1:]}. Expected {self._header.window_shape}.")

    def columns(self) -> dict[str, NDArray[Any]]:
        """Labels, groups and metadata of all windows so far."""
        return {path: np.concatenate(parts) for path, parts in self._columns.items()} if self.window_count else {}

    def record(self, name: str, size_bytes: int, source: Mapping[str, Any]) -> CacheItem:
        """The line of the manifest."""
        return CacheItem(
            item=name,
            begin=self._begin,
            window_count=self.window_count,
            maximal_error=self.maximal_error,
            windows_blake3=self._digest.hexdigest(),
            columns_blake3=digest_of_columns(self.columns()),
            size_bytes=size_bytes,
            source=dict(source),
        )


def prepared(
    array: NDArray[Any], header: CacheHeader, scaling: Scaling | None, before: int
) -> tuple[NDArray[Any], float]:
    """Windows as a cache stores them, and by how much what is read differs at most.

    Args:
        array: shape (windows, *window_shape).
        header: of the cache.
        scaling: with which they are quantised; None: they are kept.
        before: windows that came before, for messages.

    Raises:
        DataError: a value is not finite, or cannot be kept, or not so exactly.
    """
    if array.dtype.kind == "f" and header.non_finite == "refuse":
        _require_finite(array, before)
    dtype, bound = np.dtype(header.stored_dtype), header.maximal_error
    if scaling is None:
        return _unchanged(array, dtype), 0.0
    return quantised(array, scaling, dtype, half_a_step(scaling, dtype) if bound is None else bound, before)


def columns_of(count: int, labels: Any, groups: Rows | None, metadata: Rows | None) -> dict[str, NDArray[Any]]:
    """Labels, groups and metadata of `count` windows, checked, by their path in the file.

    Raises:
        DataError: another number of rows, or Python objects.
    """
    found = {} if labels is None else {hdf5.LABELS: checked_column("labels", labels, count)}
    for kind, names in (groups or {}).items():
        rows = [names] * count if isinstance(names, str) else names
        found[f"groups/{_plain(kind)}"] = checked_column(f"groups[{kind!r}]", np.asarray(rows, np.str_), count)
    for name, values in (metadata or {}).items():
        rows = [values] * count if np.ndim(values) == 0 else values
        found[f"metadata/{_plain(name)}"] = checked_column(f"metadata[{name!r}]", rows, count)
    return found


def _plain(name: Any) -> str:
    if not isinstance(name, str) or not name or "/" in name or name in (".", "..", "codes", "names"):
        raise DataError(f"Received the name {name!r}. Expected a text without a slash, not 'codes' and not 'names'.")
    return name


def _require_finite(array: NDArray[Any], before: int) -> None:
    finite = np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    if not finite.all():
        first = int(np.flatnonzero(~finite)[0])
        raise DataError(
            f"Received window {before + first} of the item with a value that is not finite ({(~finite).sum()} of "
            f"{len(array)} windows have one). Expected finite values: leave such windows out, or create the cache with "
            'non_finite="keep".'
        )


def _unchanged(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    stored = np.ascontiguousarray(array, dtype)
    if array.dtype != dtype and not np.array_equal(stored, array, equal_nan=array.dtype.kind == "f"):
        raise DataError(
            f"Received {array.dtype} windows that {dtype} cannot hold exactly. Expected {dtype}, or a cache that is "
            "created with scale=, which says how exactly values are kept."
        )
    return stored


def quantised(
    values: NDArray[Any], scaling: Scaling, dtype: np.dtype[Any], maximal_error: float, before: int = 0
) -> tuple[NDArray[Any], float]:
    """The whole numbers that are stored, and by how much what is read differs at most.

    Args:
        values: shape (windows, ...).
        scaling: what makes values of whole numbers.
        dtype: of the whole numbers.
        maximal_error: what is allowed.
        before: windows that came before, for the message.

    Raises:
        DataError: a value is not finite, out of range, or not kept so exactly; the message names the window.
    """
    try:
        stored = scaling.stored(values, dtype)
    except DataError as error:
        raise DataError(
            f"Received windows {before} to {before + len(values) - 1} of the item, in which {error}"
        ) from None
    difference = np.abs(scaling.applied(stored).astype(np.float64) - values)
    largest = float(difference.max(initial=0.0))
    if largest > maximal_error:
        first = before + int(np.unravel_index(difference.argmax(), difference.shape)[0])
        raise DataError(
            f"Received window {first} of the item, of which a value would be read with a difference of {largest:.6g}. "
            f"Expected at most maximal_error={maximal_error:g}."
        )
    return stored, largest


def half_a_step(scaling: Scaling, dtype: np.dtype[Any]) -> float:
    """Half a step, and the roundings of float32 at the largest value: of the product, and of the sum."""
    limits = np.iinfo(dtype)
    largest = max(abs(limits.min), abs(limits.max)) * float(scaling.scale.max()) + float(np.abs(scaling.offset).max())
    return 0.5 * float(scaling.scale.max()) + 2 * largest * float(np.finfo(np.float32).eps)
