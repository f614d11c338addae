"""What all data tools read: windows, by number, with labels and groups.

A window is an array of a fixed shape, such as (channels, samples). Arrays, memory maps and caches on disk look alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from archiver.errors import ArgumentError, DataError

NO_GROUPS: Mapping[str, NDArray[np.str_]] = MappingProxyType({})


@runtime_checkable
class Windows(Protocol):
    """A data set of windows that is read by number; safe to read from several threads at once."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of windows, then the shape of one, such as (windows, channels, samples)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what `read` returns."""

    @property
    def labels(self) -> NDArray[Any] | None:
        """One row per window, or None."""

    @property
    def groups(self) -> Mapping[str, NDArray[np.str_]]:
        """By kind (`subject`, `recording`, `release`): to which one each window belongs, shape (windows,)."""

    def read(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The windows of these numbers, in this order: shape (len(numbers), *shape[1:]), C order, of one's own.

        Raises:
            IndexError: a number is not below `shape[0]`, or negative.
            DataError: what is stored is damaged.
        """

    def described(self) -> dict[str, Any]:
        """What an archive records of it: JSON values, units in the names."""


class ArrayWindows:
    """Windows of an array in memory, or of a memory map.

    Args:
        array: shape (windows, ...).
        labels: one row per window.
        groups: by kind, one name per window.

    Raises:
        DataError: they differ in length.
    """

    def __init__(self, array: NDArray[Any], labels: Any = None, groups: Mapping[str, Any] = NO_GROUPS) -> None:
        self._array = array
        self.labels: NDArray[Any] | None = None if labels is None else np.asarray(labels)
        self.groups: Mapping[str, NDArray[np.str_]] = {kind: np.asarray(names, str) for kind, names in groups.items()}
        lengths = {kind: len(names) for kind, names in self.groups.items()} | {"windows": len(array)}
        if self.labels is not None:
            lengths["labels"] = len(self.labels)
        if len(set(lengths.values())) != 1:
            raise DataError(f"Received {lengths}. Expected the same number of each.")

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of windows, then the shape of one."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what `read` returns."""
        return self._array.dtype

    def read(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The windows of these numbers, in this order.

        Raises:
            IndexError: a number is not below `shape[0]`, or negative.
        """
        numbers = np.asarray(numbers, np.int64)
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(self._array)):
            raise IndexError(f"received window {numbers.min()} to {numbers.max()}; there are {len(self._array)}")
        return np.ascontiguousarray(self._array[numbers])

    def described(self) -> dict[str, Any]:
        """What an archive records of it."""
        kind = "memory_map" if isinstance(self._array, np.memmap) else "array"
        return {"kind": kind, "shape": list(self.shape), "dtype": str(self.dtype), "groups": sorted(self.groups)}


def as_windows(source: Any) -> Windows:
    """The windows of a source: itself, or an array's.

    Raises:
        ArgumentError: it is neither.
    """
    if isinstance(source, np.ndarray):
        return ArrayWindows(source)
    if isinstance(source, Windows):
        return source
    raise ArgumentError(f"Received {type(source).__name__}. Expected an array, a memory map, or windows of a cache.")
