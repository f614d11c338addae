"""`extract_features`: features of all windows, batch by batch, in bounded memory, once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.features import rows
from archiver.data.features.files import FeatureFile
from archiver.data.features.labels import write_labels
from archiver.data.features.records import (
    BatchDone,
    Complete,
    Header,
    Progress,
    progress_path,
    read_progress,
)
from archiver.data.lines import append, cut
from archiver.data.windows import Windows, as_windows
from archiver.errors import ArgumentError, DamagedFileError, DataError, RunStateError
from archiver.storage.files import explained, require_room
from archiver.storage.jsonable import jsonable
from archiver.storage.locks import try_lock

Function = Callable[[NDArray[Any]], NDArray[Any]]
_KINDS = "biuf"
BLOCK_BYTES = 512
"""In which `st_blocks` counts."""


def extract_features(source: Any, function: Function, batch_size: int, path: str | Path) -> FeatureFile:
    """Compute features of all windows and write them to `path`, a .npy file; return them.

    One batch and its features are in memory at a time. Killed at any moment, the same call goes on where it ended: no
    batch is lost that was done, none is computed twice, and the file is byte for byte that of an undisturbed run. When
    the features are complete, the call computes nothing and returns them.

    Args:
        source: windows, or an array, shape (windows, channels, samples).
        function: of a batch, such as `BandPowers(100)`; returns numbers, one row per window, of one shape and dtype.
            What it returns for a window must not depend on the other windows. Where it has `columns(channels)` and
            `described()`, these are recorded.
        batch_size: windows that are read at a time.
        path: of the .npy file; two files beside it begin with its name.

    Raises:
        ArgumentError: a batch size below 1, or no windows.
        DataError: there are none, or what the function returns does not fit.
        RunStateError: other features, or another file, are at `path`, or another process is writing them.
        DamagedFileError: the file that says what is done cannot be understood.
        StorageError: the file system refused, such as when the disk is full; what is done stays.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ArgumentError(f"Received batch_size={batch_size!r}. Expected a whole number of at least 1.")
    windows, path = as_windows(source), Path(path)
    if not windows.shape[0]:
        raise DataError(f"Received windows of the shape {windows.shape}. Expected at least one window.")
    _require_ours(path, progress_path(path).exists())
    with _claimed(path) as lines:
        progress = read_progress(progress_path(path))
        first_batch = _batch(windows, 0, min(batch_size, windows.shape[0]))
        identity = _identity(windows, function, batch_size, first_batch)
        first_rows = None
        if progress.header is None:
            _require_ours(path, is_ours=False)
            first_rows = np.asarray(function(first_batch))
            progress = Progress(_header(identity, windows, function, first_rows))
            _begin(lines, progress, windows, path)
        else:
            _require_same(progress.header, identity, path)
            cut(lines, progress.whole_bytes)
        if progress.complete is None or not path.exists():
            _compute(lambda first, last: function(_batch(windows, first, last)), path, lines, progress, first_rows)
    return FeatureFile(path)


def _require_ours(path: Path, is_ours: bool) -> None:
    if path.exists() and not is_ours:
        raise RunStateError(f"{path} is there, but not from extract_features. Give another path.")


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[int]:
    """The open file of JSON lines, locked: the kernel gives the lock back when the process ends in any way."""
    lines = progress_path(path)
    with explained("write", lines):
        os.makedirs(lines.parent, exist_ok=True)
        descriptor = os.open(lines, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        if not try_lock(descriptor):
            raise RunStateError(f"Another process is writing the features at {path}. Wait until it ends.")
        yield descriptor
    finally:
        os.close(descriptor)


def _identity(windows: Windows, function: Function, batch_size: int, first_batch: NDArray[Any]) -> dict[str, Any]:
    """What must be the same when the work goes on."""
    return {
        "batch_size": batch_size,
        "function": _described(function),
        "source_shape": list(windows.shape),
        "source_dtype": str(windows.dtype),
        "source_first_batch_blake3": rows.digest_of(first_batch.tobytes()),
    }


def _header(identity: dict[str, Any], windows: Windows, function: Any, first_rows: NDArray[Any]) -> Header:
    expected = min(identity["batch_size"], windows.shape[0])
    if first_rows.dtype.kind not in _KINDS or first_rows.shape[:1] != (expected,):
        raise DataError(
            f"Received {first_rows.dtype} features of the shape {first_rows.shape} for {expected} windows. Expected "
            "numbers, one row per window."
        )
    return Header(
        shape=(windows.shape[0], *first_rows.shape[1:]),
        dtype=_little_endian(first_rows.dtype),
        columns=function.columns(windows.shape[1]) if hasattr(function, "columns") else None,
        source=jsonable(windows.described()),
        **identity,
    )


def _begin(lines: int, progress: Progress, windows: Windows, path: Path) -> None:
    assert progress.header is not None
    write_labels(path, windows)
    with explained("write", progress_path(path)):
        cut(lines, 0)
        append(lines, progress.header)
        os.fsync(lines)


def _described(function: Any) -> dict[str, Any]:
    if hasattr(function, "described"):
        return dict(jsonable(function.described()))
    return {"function": f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"}


def _require_same(found: Header, identity: dict[str, Any], path: Path) -> None:
    for key, value in found.model_dump(mode="json", include=set(identity)).items():
        if identity[key] != value:
            raise RunStateError(
                f"The features at {path} were begun with other arguments: {key} is {value!r} there. Received "
                f"{identity[key]!r}. Give another path, or remove the files there."
            )


def _compute(
    features_of: Callable[[int, int], Any], path: Path, lines: int, progress: Progress, first_rows: Any
) -> None:
    """Compute what is not whole, and say so line by line; `first_rows` are those of the first batch, if known."""
    header = progress.header
    assert header is not None
    with _rows_file(path, header) as descriptor:
        for number in range(progress.batch_count):
            if rows.is_whole(path, progress, number):
                continue
            first, last = rows.rows_of(header, number)
            is_known = number == 0 and first_rows is not None
            found = first_rows if is_known else np.asarray(features_of(first, last))
            data = _bytes(found, header, first, last)
            with explained("write", path):
                _write_at(descriptor, data, rows.HEAD_BYTES + first * rows.row_bytes(header))
                append(lines, BatchDone(batch=number, blake3=rows.digest_of(data)))
        with explained("write", path):
            os.fsync(descriptor)  # the last line must never be on the disk before the rows are
            append(lines, Complete(blake3=rows.file_digest(path)))
            os.fsync(lines)


@contextlib.contextmanager
def _rows_file(path: Path, header: Header) -> Iterator[int]:
    """The .npy file at its full size; a disk without room for it is noticed before anything is computed."""
    size = rows.file_bytes(header)
    with explained("write", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with explained("write", path):
            found = os.fstat(descriptor)
            if found.st_size > size:
                raise DamagedFileError(f"{path} has {found.st_size} bytes. Expected {size}. Remove it, and try again.")
            require_room(path, size - min(size, found.st_blocks * BLOCK_BYTES))
            os.ftruncate(descriptor, size)
            _write_at(descriptor, rows.head(header), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _batch(windows: Windows, first: int, last: int) -> NDArray[Any]:
    return windows.read(np.arange(first, last, dtype=np.int64))


def _bytes(found: Any, header: Header, first: int, last: int) -> bytes:
    expected = (last - first, *header.shape[1:])
    if found.shape != expected or _little_endian(found.dtype) != header.dtype:
        raise DataError(
            f"Received {found.dtype} features of the shape {found.shape} for the windows {first} to {last - 1}. "
            f"Expected {np.dtype(header.dtype)} and {expected}, as for the first windows."
        )
    return bytes(found.astype(header.dtype, copy=False).tobytes())


def _little_endian(dtype: np.dtype[Any]) -> str:
    return dtype.newbyteorder("<").str


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count
