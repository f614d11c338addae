"""Several sources of windows read as one: those of the first, then those of the second, and so on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.feeding.window_file import RawWindows, checked_numbers
from archiver.data.windows import Windows, as_windows
from archiver.errors import DataError


class JoinedWindows:
    """Several sources as one.

    Args:
        sources: windows or arrays, whose windows are of one shape and type; all with labels or none, and groups of the
            same kinds.

    Raises:
        DataError: they do not go together, or there is none.
    """

    def __init__(self, sources: Sequence[Any]) -> None:
        self.sources: tuple[Windows, ...] = tuple(as_windows(each) for each in sources)
        if not self.sources:
            raise DataError("Received no windows. Expected at least one file or array.")
        first = self.sources[0]
        for number, each in enumerate(self.sources):
            _require_same(number, "windows of shape", each.shape[1:], first.shape[1:])
            _require_same(number, "windows of type", each.dtype, first.dtype)
            _require_same(number, "groups", sorted(each.groups), sorted(first.groups))
            _require_same(number, "labels", each.labels is not None, first.labels is not None)
        self._ends = np.cumsum([each.shape[0] for each in self.sources])
        labels = [each.labels for each in self.sources if each.labels is not None]
        for number, rows in enumerate(labels):
            _require_same(number, "labels of shape", rows.shape[1:], labels[0].shape[1:])
        self.labels: NDArray[Any] | None = np.concatenate(labels) if labels else None
        self.groups = {kind: np.concatenate([each.groups[kind] for each in self.sources]) for kind in first.groups}

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of all windows, then the shape of one."""
        return (int(self._ends[-1]), *self.sources[0].shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what `read` returns."""
        return self.sources[0].dtype

    def read(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The windows of these numbers, in this order.

        Raises:
            IndexError: a number is not below `shape[0]`, or negative.
            DataError: what is stored is damaged.
        """
        return self._gathered(numbers, self.dtype, lambda source, own: source.read(own))

    def _gathered(self, numbers: Any, dtype: np.dtype[Any], read: Any) -> NDArray[Any]:
        numbers = checked_numbers(numbers, self.shape[0])
        homes = np.searchsorted(self._ends, numbers, side="right")
        found = np.empty((len(numbers), *self.shape[1:]), dtype)
        for home in np.unique(homes):
            places = np.flatnonzero(homes == home)
            found[places] = read(self.sources[home], self._own(numbers[places], int(home)))
        return found

    def _own(self, numbers: NDArray[np.int64], home: int) -> NDArray[np.int64]:
        return numbers - (int(self._ends[home - 1]) if home else 0)

    def announce(self, numbers: NDArray[np.int64]) -> None:
        """Tell the kernel that these windows are read next."""
        homes = np.searchsorted(self._ends, numbers, side="right")
        for home in np.unique(homes):
            source = self.sources[home]
            if isinstance(source, RawWindows):
                source.announce(self._own(numbers[homes == home], int(home)))

    def described(self) -> dict[str, Any]:
        """What an archive records of it."""
        parts = [each.described() for each in self.sources]
        return {"kind": "joined", "shape": list(self.shape), "dtype": str(self.dtype), "sources": parts}


def _require_same(number: int, what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise DataError(
            f"Received {what} {found} in source {number} and {expected} in source 0. Expected the same in all, to be "
            "read as one data set."
        )
