"""`FeatureFile`: features on disk, which are read as windows or as an array."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.features import rows
from archiver.data.features.labels import read_labels
from archiver.data.features.records import Header, progress_path, read_progress
from archiver.data.windows import ArrayWindows
from archiver.errors import DamagedFileError, NotAnArchiveError, RunStateError
from archiver.storage.files import explained


class FeatureFile:
    """The features that `extract_features` wrote: `Windows` whose "windows" are the features of one.

    Three files: PATH, which NumPy reads anywhere (`numpy.load(path, mmap_mode="r")`); PATH.progress.jsonl, which says
    what they are; PATH.labels.npz with labels and groups, where the source has any.

    Args:
        path: of the .npy file.

    Raises:
        NotAnArchiveError: there are no features.
        RunStateError: they are not complete yet.
        DamagedFileError: a file is not what it should be.
        FormatVersionError: a newer archiver wrote them.
        StorageError: a file cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        lines = progress_path(self.path)
        if not lines.exists():
            raise NotAnArchiveError(f"There are no features at {self.path}: {lines.name} is missing. Extract them.")
        self._progress = read_progress(lines)
        if self._progress.header is None or self._progress.complete is None:
            raise RunStateError(
                f"The features at {self.path} are not complete: {self._progress.said()}. "
                "Call extract_features again with the same arguments; it goes on where it ended."
            )
        self._header = self._progress.header
        self._blake3 = self._progress.complete.blake3
        self.array = _array(self.path, self._header)
        """A read-only memory map of the features, shape (windows, ...)."""
        self._windows = ArrayWindows(self.array, *read_labels(self.path))

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of windows, then the shape of the features of one."""
        return self._windows.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what `read` returns."""
        return self._windows.dtype

    @property
    def labels(self) -> NDArray[Any] | None:
        """Those of the source."""
        return self._windows.labels

    @property
    def groups(self) -> Mapping[str, NDArray[np.str_]]:
        """Those of the source."""
        return self._windows.groups

    @property
    def columns(self) -> tuple[str, ...] | None:
        """What each column is; None where the function did not say."""
        return self._header.columns

    def read(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The features of the windows of these numbers, in this order.

        Raises:
            IndexError: a number is not below `shape[0]`, or negative.
        """
        return self._windows.read(numbers)

    def verify(self) -> None:
        """Compare the file with the digest that was taken when it was complete.

        Raises:
            DamagedFileError: it has changed; the message says where.
            StorageError: it cannot be read.
        """
        if rows.file_digest(self.path) == self._blake3:
            return
        count = self._progress.batch_count
        bad = [number for number in range(count) if not rows.is_whole(self.path, self._progress, number)]
        where = "the head of the file has changed"
        if bad:
            first, last = rows.rows_of(self._header, bad[0])
            where = f"the features of windows {first} to {last - 1} have changed ({len(bad)} of {count} batches have)"
        raise DamagedFileError(
            f"{self.path}: {where}. Remove it and {progress_path(self.path).name}, and extract the features again."
        )

    def described(self) -> dict[str, Any]:
        """What an archive records of it."""
        header = self._header
        return {
            "kind": "features",
            "shape": list(header.shape),
            "dtype": header.dtype,
            "columns": None if header.columns is None else list(header.columns),
            "function": header.function,
            "source": header.source,
            "blake3": self._blake3,
            "groups": sorted(self.groups),
        }


def _array(path: Path, header: Header) -> NDArray[Any]:
    with explained("read", path):
        found, expected = path.stat().st_size, rows.file_bytes(header)
        if found != expected:
            raise DamagedFileError(f"{path} has {found} bytes. Expected {expected}: it was cut short or changed.")
        if expected == rows.HEAD_BYTES:  # what is empty cannot be mapped
            return np.zeros(header.shape, header.dtype)
        return np.memmap(path, header.dtype, "r", rows.HEAD_BYTES, header.shape)
