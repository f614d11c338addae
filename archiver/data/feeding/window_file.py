"""`WindowFile`: windows of a fixed size, one behind the other in one uncompressed file, read by number.

A window costs one `pread` and no parsing; several threads may read at once. Beside `<path>` lie `<path>.npz`, with
labels and groups, and `<path>.json`, the header, which is written last: where it is, the file is whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.buffers import BUFFERS
from archiver.data.feeding.scaling import Scaling
from archiver.data.feeding.window_header import WindowHeader, read_header
from archiver.data.windows import NO_GROUPS
from archiver.errors import DamagedFileError, DataError
from archiver.storage import files
from archiver.storage.digests import file_digests

LABELS = "labels"
_GROUP = "group/"


def header_path(path: Path) -> Path:
    """Of the JSON header of a window file."""
    return path.with_name(f"{path.name}.json")


def extras_path(path: Path) -> Path:
    """Of the labels and groups of a window file."""
    return path.with_name(f"{path.name}.npz")


class RawWindows:
    """Windows that lie one behind the other in a file, in C order.

    Args:
        path: the file.
        begin_bytes: where the first window begins.
        shape: windows, then the shape of one.
        dtype: of the elements in the file.
        scaling: what makes values of them; None: they are the values.
        labels: one row per window.
        groups: by kind, one name per window.

    Raises:
        DamagedFileError: the file is shorter than that.
        StorageError: the file system refused.
    """

    def __init__(  # noqa: PLR0917 - named below, in the order of a file
        self,
        path: Path,
        begin_bytes: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        scaling: Scaling | None = None,
        labels: NDArray[Any] | None = None,
        groups: Mapping[str, NDArray[np.str_]] = NO_GROUPS,
    ) -> None:
        self.path, self.shape, self.stored_dtype, self.scaling = path, shape, dtype, scaling
        self.labels, self.groups = labels, dict(groups)
        self._begin = begin_bytes
        self._window_bytes = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        self._descriptor = -1
        self._open()

    def _open(self) -> None:
        with files.explained("read", self.path):
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            size = os.fstat(self._descriptor).st_size
        needed = self._begin + self.shape[0] * self._window_bytes
        if size < needed:
            raise DamagedFileError(
                f"{self.path} has {size:,} bytes. Expected {needed:,}, for {self.shape[0]:,} windows of "
                f"{self._window_bytes:,} bytes: it was cut short. Write the windows again."
            )

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_descriptor": -1}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what `read` returns."""
        return self.stored_dtype.newbyteorder("=") if self.scaling is None else np.dtype(np.float32)

    def read(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The windows of these numbers, in this order: shape (len(numbers), *shape[1:]).

        Raises:
            IndexError: a number is not below `shape[0]`, or negative.
            DamagedFileError: the file has become shorter.
        """
        stored = self.read_stored(numbers)
        if self.scaling is not None:
            return self.scaling.applied(stored)
        return stored.astype(self.dtype, copy=False)

    def read_stored(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The same as it lies in the file, without scale and offset."""
        numbers = checked_numbers(numbers, self.shape[0])
        stored = BUFFERS.array((len(numbers), *self.shape[1:]), self.stored_dtype)
        if stored.size:
            raw: Any = stored.reshape(-1).view(np.uint8)
            view, size = memoryview(raw), self._window_bytes
            for begin, end in runs(numbers):
                self._read_into(view[begin * size : end * size], self._begin + int(numbers[begin]) * size)
        return stored

    def _read_into(self, view: memoryview, offset: int) -> None:
        while view:
            count = os.preadv(self._descriptor, [view], offset)
            if count == 0:
                raise DamagedFileError(f"{self.path} has become shorter: nothing at byte {offset:,}. Write it again.")
            view, offset = view[count:], offset + count

    def announce(self, numbers: NDArray[np.int64]) -> None:
        """Tell the kernel that these windows are read next, so that it fetches them meanwhile."""
        if hasattr(os, "posix_fadvise"):
            ordered, size = np.sort(numbers), self._window_bytes
            for begin, end in runs(ordered):
                offset = self._begin + int(ordered[begin]) * size
                os.posix_fadvise(self._descriptor, offset, (end - begin) * size, os.POSIX_FADV_WILLNEED)

    def described(self) -> dict[str, Any]:
        """What an archive records of it."""
        return {
            "kind": "npy_file",
            "file": self.path.name,
            "shape": list(self.shape),
            "dtype": str(self.dtype),
            "stored_dtype": str(self.stored_dtype),
            "groups": sorted(self.groups),
        }


def runs(numbers: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Where stretches of numbers that follow each other begin and end."""
    ends = np.flatnonzero(np.diff(numbers) != 1) + 1
    begin = 0
    for end in (*ends.tolist(), len(numbers)):
        if end > begin:
            yield begin, end
        begin = end


def checked_numbers(numbers: Any, count: int) -> NDArray[np.int64]:
    """Window numbers as an array.

    Raises:
        IndexError: one is not below `count`, or negative.
    """
    array = np.asarray(numbers, np.int64)
    if len(array) and (array.min() < 0 or array.max() >= count):
        raise IndexError(f"received window {array.min()} to {array.max()}; there are {count}")
    return array


class WindowFile(RawWindows):
    """The windows that `write_window_file` wrote.

    Args:
        path: the file of the windows; its header and labels lie beside it.

    Raises:
        NotAnArchiveError: there is no header: the file was not written to its end.
        FormatVersionError: a newer version of archiver wrote it.
        DamagedFileError: the header is damaged, or the file is not as long as it says.
        StorageError: the file system refused.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        place = Path(path)
        header = self.header = read_header(header_path(place))
        labels, groups = _read_extras(extras_path(place), header)
        super().__init__(place, 0, header.shape, header.dtype, header.scaling, labels, groups)
        size, needed = os.fstat(self._descriptor).st_size, header.shape[0] * header.window_bytes
        if size != needed:
            raise DamagedFileError(f"{place} has {size:,} bytes. Expected {needed:,}. Write the windows again.")

    def verify(self) -> None:
        """Read everything and compare the digests with the header's.

        Raises:
            DamagedFileError: a byte differs.
        """
        expected = {self.path: self.header.blake3, extras_path(self.path): self.header.extras_blake3}
        for path, digest in expected.items():
            with files.explained("read", path), path.open("rb") as file:
                found = file_digests(file, ["blake3"])["blake3"]
            if found != digest:
                raise DamagedFileError(f"{path} has the BLAKE3 {found}. Expected {digest}: it was changed or damaged.")

    def described(self) -> dict[str, Any]:
        """What an archive records of it."""
        header = self.header
        return super().described() | {
            "kind": "window_file",
            "maximal_error": header.maximal_error,
            "blake3": header.blake3,
            "labels_and_groups_blake3": header.extras_blake3,
            "source": header.source,
        }


def _read_extras(path: Path, header: WindowHeader) -> tuple[NDArray[Any] | None, dict[str, NDArray[np.str_]]]:
    try:
        with files.explained("read", path), np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (ValueError, EOFError, KeyError) as error:
        raise DamagedFileError(f"{path} cannot be read ({error}). Write the windows again.") from error
    wrong = {name: len(array) for name, array in arrays.items() if len(array) != header.shape[0]}
    if wrong:
        raise DamagedFileError(f"{path} has {wrong} rows. Expected {header.shape[0]} each. Write the windows again.")
    groups = {name.removeprefix(_GROUP): array for name, array in arrays.items() if name.startswith(_GROUP)}
    return arrays.get(LABELS), groups


def extras_of(labels: NDArray[Any] | None, groups: Mapping[str, NDArray[np.str_]]) -> dict[str, NDArray[Any]]:
    """The arrays of the file beside the windows.

    Raises:
        DataError: labels are Python objects.
    """
    if labels is not None and labels.dtype.hasobject:
        raise DataError("Received labels that are Python objects. Expected numbers or texts.")
    named = {f"{_GROUP}{kind}": np.asarray(names, np.str_) for kind, names in groups.items()}
    return named if labels is None else {LABELS: labels} | named


def npy_windows(path: str | os.PathLike[str], labels: Any = None, groups: Mapping[str, Any] = NO_GROUPS) -> RawWindows:
    """The windows of an array that `numpy.save` wrote, read by number without a memory map.

    Args:
        path: an `.npy` file, C order, with the windows as first axis.
        labels: one row per window.
        groups: by kind, one name per window.

    Raises:
        DamagedFileError: it is no such file, or cut short.
        DataError: labels or groups are not as many as the windows, or the array is in Fortran order.
        StorageError: the file system refused.
    """
    place = Path(path)
    with files.explained("read", place), place.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, is_fortran, dtype = read(file)
        except ValueError as error:
            raise DamagedFileError(f"{place} is no .npy file ({error}).") from error
        begin = file.tell()
    if is_fortran or not shape or dtype.hasobject:
        raise DataError(f"{place} holds an array {shape} of {dtype}. Expected numbers in C order, windows first.")
    rows = None if labels is None else np.asarray(labels)
    names = {kind: np.asarray(each, np.str_) for kind, each in groups.items()}
    lengths = {kind: len(each) for kind, each in names.items()} | ({} if rows is None else {"labels": len(rows)})
    if any(length != shape[0] for length in lengths.values()):
        raise DataError(f"Received {lengths} for {shape[0]} windows of {place}. Expected the same number of each.")
    return RawWindows(place, begin, shape, dtype, None, rows, names)
